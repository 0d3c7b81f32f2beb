#include "cli/application.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/render.h"

namespace dermlens::cli {
namespace {

TEST(ExitCode, FollowsTheKindOfFailure) {
  EXPECT_EQ(exit_code(Errc::usage), 2);
  for (const Errc code : {Errc::malformed, Errc::unsupported, Errc::not_found, Errc::too_large,
                          Errc::refused, Errc::corrupt})
    EXPECT_EQ(exit_code(code), 3);
  EXPECT_EQ(exit_code(Errc::over_limit), 4);
  EXPECT_EQ(exit_code(Errc::no_memory), 4);
  EXPECT_EQ(exit_code(Errc::io), 5);
  EXPECT_EQ(exit_code(Errc::internal), 5);
}

TEST(Json, IsUtf8WhateverTheNamesInItAre) {
  std::ostringstream out;
  print_json(out, boost::json::object{{"path", "a\xff.png"}});
  EXPECT_EQ(out.str(), "{\"path\":\"a\uFFFD.png\"}\n");
}

TEST(Table, ColumnsAreAlignedByCodePoints) {
  std::ostringstream out;
  print_table(out, {{"1", "Chàm", "x"}, {"10", "Eczema", "y"}}, "  ", {0});
  EXPECT_EQ(out.str(), "   1  Chàm    x\n  10  Eczema  y\n");
}

TEST(Percent, HasOneDecimal) {
  EXPECT_EQ(percent(0.8123), "81.2 %");
  EXPECT_EQ(percent(1), "100.0 %");
}

}  // namespace
}  // namespace dermlens::cli
