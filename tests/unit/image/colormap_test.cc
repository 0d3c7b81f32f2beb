// The colour tables against matplotlib's.
#include "image/colormap.h"

#include "fixtures.h"

namespace dermlens {
namespace {

class Colormaps : public testing::TestWithParam<Colormap> {};

TEST_P(Colormaps, EqualMatplotlibs) {
  const NpyArray expected = golden("colormap_" + std::string(to_string(GetParam())) + ".npy");
  const ColourTable& table = colour_table(GetParam());
  ASSERT_EQ(expected.data.size(), 768U);
  for (std::size_t i = 0; i < 768; ++i)
    EXPECT_EQ(table[i / 3][i % 3], std::to_integer<int>(expected.data[i])) << "entry " << i / 3;
}

INSTANTIATE_TEST_SUITE_P(All, Colormaps,
                         testing::Values(Colormap::jet, Colormap::turbo, Colormap::viridis));

TEST(Colormap, NamesParseBack) {
  for (const Colormap map : {Colormap::jet, Colormap::turbo, Colormap::viridis, Colormap::gray}) {
    const auto parsed = parse_colormap(to_string(map));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(*parsed, map);
  }
  EXPECT_EQ(parse_colormap("rainbow").error().code, Errc::usage);
}

TEST(Colormap, GrayIsTheIdentity) {
  for (std::size_t i = 0; i < 256; ++i)
    EXPECT_EQ(colour_table(Colormap::gray)[i][1], static_cast<int>(i));
}

}  // namespace
}  // namespace dermlens
