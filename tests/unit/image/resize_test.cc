// The resizer against Pillow's own results.
#include "image/resize.h"

#include <tuple>

#include "fixtures.h"

namespace dermlens {
namespace {

struct Case {
  std::string source;
  std::string target;
};

class AgainstPillow : public testing::TestWithParam<std::tuple<Case, Filter>> {};

TEST_P(AgainstPillow, ResultsAreIdentical) {
  const auto& [sizes, filter] = GetParam();
  Ledger ledger(kPlenty);
  const Picture source = picture_of(golden("resize_" + sizes.source + ".npy"), ledger);
  const NpyArray expected = golden("resize_" + sizes.source + "_to_" + sizes.target + "_" +
                                   std::string(to_string(filter)) + ".npy");
  const auto resized = resize(source, size_of_picture(expected), filter, ledger);
  ASSERT_TRUE(resized.has_value());
  EXPECT_EQ(distance(*resized, expected).most, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Resize, AgainstPillow,
    testing::Combine(testing::Values(Case{"97x61", "30x30"}, Case{"23x31", "64x45"},
                                     Case{"120x7", "17x40"}, Case{"5x80", "5x33"}),
                     testing::Values(Filter::lanczos, Filter::bicubic, Filter::bilinear)));

class Extremes : public testing::TestWithParam<std::tuple<Size, Size>> {};

TEST_P(Extremes, OneColourStaysThatColour) {
  const auto& [from, to] = GetParam();
  Ledger ledger(kPlenty);
  auto source = Picture::make(from, ledger);
  ASSERT_TRUE(source.has_value());
  std::fill(source->pixels().begin(), source->pixels().end(), std::uint8_t{201});
  for (const Filter filter : {Filter::lanczos, Filter::bicubic, Filter::bilinear}) {
    const auto resized = resize(*source, to, filter, ledger);
    ASSERT_TRUE(resized.has_value());
    EXPECT_EQ(resized->size(), to);
    for (const std::uint8_t level : resized->pixels()) ASSERT_EQ(level, 201);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Resize, Extremes,
    testing::Combine(testing::Values(Size{1, 1}, Size{3000, 1}, Size{1, 3000}, Size{2, 3}),
                     testing::Values(Size{1, 1}, Size{30, 30}, Size{1, 40}, Size{40, 1})));

TEST(Resize, TheSameSizeIsTheSamePicture) {
  Ledger ledger(kPlenty);
  const Picture source = picture_of(golden("resize_97x61.npy"), ledger);
  const auto same = resize(source, source.size(), Filter::lanczos, ledger);
  ASSERT_TRUE(same.has_value());
  EXPECT_EQ(distance(same->pixels(), source.pixels()).most, 0);
}

TEST(Resize, WithoutRoomInTheLedgerItFailsAndHoldsNothing) {
  Ledger ledger(1 << 20);
  const auto source = Picture::make({100, 100}, ledger);
  ASSERT_TRUE(source.has_value());
  const Bytes before = ledger.reserved();
  for (const std::int64_t n : {0, 1}) {
    ledger.fail_at(n);
    EXPECT_FALSE(resize(*source, {50, 50}, Filter::lanczos, ledger).has_value());
    EXPECT_EQ(ledger.reserved(), before);
  }
}

}  // namespace
}  // namespace dermlens
