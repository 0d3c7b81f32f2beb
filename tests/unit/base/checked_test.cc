// Laws of checked arithmetic and of sizes as people write them.
#include "base/checked.h"

#include <gtest/gtest.h>

namespace dermlens {
namespace {

TEST(Checked, ProductsAndSumsThatWrapFail) {
  const Bytes half = Bytes{1} << 63;
  EXPECT_EQ(*checked_mul(3, 4, 5), 60U);
  EXPECT_FALSE(checked_mul(half, 2));
  EXPECT_FALSE(checked_mul(3, half, 2));
  EXPECT_FALSE(checked_add(half, half));
  EXPECT_EQ(checked_add(half, half).error().code, Errc::too_large);
}

TEST(Checked, CastsThatLoseTheValueFail) {
  EXPECT_EQ(*checked_cast<int>(Bytes{12}), 12);
  EXPECT_FALSE(checked_cast<int>(Bytes{1} << 40));
  EXPECT_FALSE(checked_cast<Bytes>(-1));
}

TEST(Checked, SizesAreReadInPowersOf1024) {
  EXPECT_EQ(*parse_size("96M"), Bytes{96} << 20);
  EXPECT_EQ(*parse_size("2g"), Bytes{2} << 30);
  EXPECT_EQ(*parse_size("512KiB"), Bytes{512} << 10);
  EXPECT_EQ(*parse_size("77"), 77U);
  for (const char* bad : {"", "M", "-1M", "12Q", "99999999999999999999", "18446744073709551615G"})
    EXPECT_FALSE(parse_size(bad)) << bad;
}

}  // namespace
}  // namespace dermlens
