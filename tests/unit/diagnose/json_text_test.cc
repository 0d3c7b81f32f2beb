#include "diagnose/json_text.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace dermlens {
namespace {

namespace json = boost::json;

TEST(JsonText, NumbersAreWhatPeopleWrite) {
  for (const auto& [number, text] :
       std::initializer_list<std::pair<double, const char*>>{{0.91, "0.91"},
                                                             {63, "63"},
                                                             {0, "0"},
                                                             {-0.5, "-0.5"},
                                                             {98.77, "98.77"},
                                                             {0.0001, "0.0001"}})
    EXPECT_EQ(to_text(json::value(number)), text);
  EXPECT_EQ(to_text(json::value(std::uint64_t{1} << 63)), "9223372036854775808");
  EXPECT_EQ(to_text(json::value(-7)), "-7");
}

TEST(JsonText, EveryNumberReadsBackAsItself) {
  for (double number = 1e-320; number < 1e308; number *= -7.3)
    EXPECT_EQ(std::strtod(to_text(json::value(number)).c_str(), nullptr), number);
  EXPECT_EQ(to_text(json::value(1e-12)), "1e-12");
  EXPECT_EQ(to_text(json::value(1e300)), "1e+300");
}

TEST(JsonText, WhatIsNotFiniteIsNull) {
  EXPECT_EQ(to_text(json::value(std::nan(""))), "null");
  EXPECT_EQ(to_text(json::value(std::numeric_limits<double>::infinity())), "null");
}

TEST(JsonText, EveryTextReadsBackAsItself) {
  std::string text;
  for (int c = 0; c < 128; ++c) text += static_cast<char>(c);
  text += "Bệnh chàm";
  const json::value value{{text, json::array{text, nullptr, true, false, 1, 0.25}},
                          {"", json::object{}}};
  EXPECT_EQ(json::parse(to_text(value)), value);
  EXPECT_EQ(to_text(value.as_object()), to_text(value));
}

TEST(JsonText, IsNeverLongerThanWasSaid) {
  for (const char* piece : {"plain", "\"", "\\", "\n", "\x01", "ngứa"}) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += piece;
    const json::value value{{"a", text}, {"b", json::array{text, 7, 0.25}}};
    EXPECT_LE(to_text(value).size(), text_bytes(value)) << piece;
    EXPECT_GE(to_text(value).size() + 100, text_bytes(value)) << piece;
  }
}

TEST(JsonText, WhatIsNoUtf8LeavesJsonJson) {
  EXPECT_EQ(to_text(json::object{{"y\xff", "a\x9b"}}), "{\"y\uFFFD\":\"a\uFFFD\"}");
}

}  // namespace
}  // namespace dermlens
