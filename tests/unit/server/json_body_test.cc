#include "server/json_body.h"

#include <gtest/gtest.h>

namespace dermlens::server {
namespace {

TEST(JsonBody, EveryByteIsReservedAndGivenBack) {
  Ledger ledger(1 << 20);
  {
    const auto body = JsonBody::parse(R"({"a":[1,2,3],"b":"text"})", ledger);
    ASSERT_TRUE(body);
    EXPECT_GT(ledger.reserved(Category::bodies), 0U);
    EXPECT_EQ(*find_string(body->value(), "b"), "text");
  }
  EXPECT_EQ(ledger.reserved(), 0U);
}

TEST(JsonBody, TheParsedValueItselfIsReserved) {
  constexpr Bytes kElements = 100'000;
  Ledger ledger(Bytes{64} << 20);
  std::string text = "[[0],[0";
  for (Bytes i = 2; i < kElements; ++i) text += ",0";
  text += "]]";
  const auto body = JsonBody::parse(text, ledger);
  ASSERT_TRUE(body);
  EXPECT_GE(ledger.reserved(Category::bodies), kElements * sizeof(boost::json::value));
}

TEST(JsonBody, AMillionSmallThingsMeetTheLimit) {
  Ledger ledger(1 << 20);
  std::string text = "[0";
  for (int i = 0; i < 200'000; ++i) text += ",0";
  text += "]";
  const auto body = JsonBody::parse(text, ledger);
  ASSERT_FALSE(body);
  EXPECT_TRUE(body.error().code == Errc::no_memory || body.error().code == Errc::over_limit);
  EXPECT_EQ(ledger.reserved(), 0U);
}

TEST(JsonBody, WhateverReservationFailsTheLedgerIsEmptyAfterwards) {
  for (int n = 0; n < 4; ++n) {
    Ledger ledger(8 << 20);
    ledger.fail_at(n);
    const auto body = JsonBody::parse("[\"" + std::string(300'000, 'x') + "\"]", ledger);
    if (!body) {
      EXPECT_EQ(body.error().code, Errc::no_memory);
    }
  }
}

TEST(JsonBody, GarbageIsMalformed) {
  Ledger ledger(1 << 20);
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("{}x"), std::string("nul"),
        std::string("\"\xff\""), std::string(100, '['), std::string("{\"a\":1,}")}) {
    const auto body = JsonBody::parse(text, ledger);
    ASSERT_FALSE(body) << text;
    EXPECT_EQ(body.error().code, Errc::malformed) << text;
  }
}

TEST(JsonBody, FindLooksOnlyIntoObjects) {
  EXPECT_EQ(find(boost::json::value(1), "a"), nullptr);
  EXPECT_EQ(find_string(boost::json::value({{"a", 1}}), "a"), nullptr);
}

}  // namespace
}  // namespace dermlens::server
