// The heatmap's enlargement against OpenCV's, and the blend.
#include "image/overlay.h"

#include <limits>

#include "fixtures.h"

namespace dermlens {
namespace {

HeatGrid grid_of(const std::vector<float>& values, std::uint32_t height, std::uint32_t width) {
  return {height, width, values};
}

TEST(Overlay, EnlargesAsOpenCvDoes) {
  const std::vector<float> values = golden("heat.npy").to_floats();
  const NpyArray enlarged = golden("heat_enlarged.npy");
  const std::vector<float> expected = enlarged.to_floats();
  Ledger ledger(kPlenty);
  auto picture = Picture::make(size_of_picture(enlarged), ledger);
  ASSERT_TRUE(picture.has_value());
  ASSERT_TRUE(blend_heatmap(*picture, grid_of(values, 3, 4), Colormap::gray, 1).has_value());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(picture->pixels()[3 * i], expected[i] * 255, 0.51);
}

TEST(Overlay, AlphaZeroLeavesThePictureAndAlphaOneHidesIt) {
  Ledger ledger(kPlenty);
  auto picture = Picture::make({9, 5}, ledger);
  ASSERT_TRUE(picture.has_value());
  std::fill(picture->pixels().begin(), picture->pixels().end(), std::uint8_t{77});
  const std::vector<float> one = {1};
  ASSERT_TRUE(blend_heatmap(*picture, grid_of(one, 1, 1), Colormap::jet, 0).has_value());
  for (const std::uint8_t level : picture->pixels()) EXPECT_EQ(level, 77);
  ASSERT_TRUE(blend_heatmap(*picture, grid_of(one, 1, 1), Colormap::jet, 1).has_value());
  for (std::size_t i = 0; i < picture->pixels().size(); ++i)
    EXPECT_EQ(picture->pixels()[i], colour_table(Colormap::jet)[255][i % 3]);
}

TEST(Overlay, BlendsByAlpha) {
  Ledger ledger(kPlenty);
  auto picture = Picture::make({1, 1}, ledger);
  ASSERT_TRUE(picture.has_value());
  std::fill(picture->pixels().begin(), picture->pixels().end(), std::uint8_t{100});
  const std::vector<float> one = {1};
  ASSERT_TRUE(blend_heatmap(*picture, grid_of(one, 1, 1), Colormap::gray, 0.4F).has_value());
  EXPECT_EQ(picture->pixels()[0], 162);
}

TEST(Overlay, ValuesOutsideOfTheRangeCountAsTheNearerEnd) {
  Ledger ledger(kPlenty);
  auto picture = Picture::make({3, 1}, ledger);
  ASSERT_TRUE(picture.has_value());
  const std::vector<float> wild = {-5, std::numeric_limits<float>::quiet_NaN(),
                                   std::numeric_limits<float>::infinity()};
  ASSERT_TRUE(blend_heatmap(*picture, grid_of(wild, 1, 3), Colormap::gray, 1).has_value());
  EXPECT_EQ(picture->pixels()[0], 0);
  EXPECT_EQ(picture->pixels()[3], 0);
  EXPECT_EQ(picture->pixels()[6], 255);
}

TEST(Overlay, RefusesGridsThatAreNotWhatTheySay) {
  Ledger ledger(kPlenty);
  auto picture = Picture::make({3, 1}, ledger);
  ASSERT_TRUE(picture.has_value());
  const std::vector<float> three(3);
  const auto code = [&](const HeatGrid& grid, float alpha) {
    return blend_heatmap(*picture, grid, Colormap::jet, alpha).error().code;
  };
  EXPECT_EQ(code(grid_of(three, 0, 3), 0.4F), Errc::usage);
  EXPECT_EQ(code(grid_of(three, 2, 2), 0.4F), Errc::usage);
  EXPECT_EQ(code(grid_of(three, 1, 3), 1.5F), Errc::usage);
  EXPECT_EQ(code(grid_of(three, 1, 3), std::numeric_limits<float>::quiet_NaN()), Errc::usage);
}

}  // namespace
}  // namespace dermlens
