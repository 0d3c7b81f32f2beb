// What the header says, and what is refused on its word alone.
#include "image/header.h"

#include <cstring>

#include "fixtures.h"

namespace dermlens {
namespace {

Result<Header> header_of(const std::string& name) { return read_header(read_bytes(fixture(name))); }

TEST(Header, TellsTheFormatByContent) {
  EXPECT_EQ(header_of("baseline.jpg")->format, Format::jpeg);
  EXPECT_EQ(header_of("alpha.png")->format, Format::png);
  EXPECT_EQ(header_of("lossy.webp")->format, Format::webp);
}

TEST(Header, NamesTheFormatsThatAreReadWhenItRefusesAnother) {
  const auto gif = header_of("foreign.gif");
  ASSERT_FALSE(gif.has_value());
  EXPECT_EQ(gif.error().code, Errc::unsupported);
  for (const char* name : {"GIF", "JPEG", "PNG", "WebP"})
    EXPECT_NE(gif.error().message.find(name), std::string::npos) << gif.error().message;
  EXPECT_EQ(header_of("versions.txt").error().code, Errc::unsupported);
  EXPECT_EQ(read_header({}).error().code, Errc::malformed);
}

TEST(Header, KnowsWhichFormsNeedTheWholePicture) {
  EXPECT_FALSE(header_of("baseline.jpg")->whole_image);
  EXPECT_TRUE(header_of("progressive.jpg")->whole_image);
  EXPECT_FALSE(header_of("png_c2_b8.png")->whole_image);
  EXPECT_TRUE(header_of("png_c2_b8_i.png")->whole_image);
  EXPECT_TRUE(header_of("lossless.webp")->lossless);
  EXPECT_FALSE(header_of("lossy.webp")->lossless);
  EXPECT_TRUE(header_of("cmyk.jpg")->cmyk);
  EXPECT_TRUE(header_of("alpha_lossy.webp")->alpha);
  EXPECT_TRUE(header_of("png_c3_b8.png")->alpha);
}

TEST(Header, CountsChannelsAndBits) {
  EXPECT_EQ(header_of("gray.jpg")->channels, 1);
  EXPECT_EQ(header_of("cmyk.jpg")->channels, 4);
  EXPECT_EQ(header_of("png_c6_b16.png")->channels, 4);
  EXPECT_EQ(header_of("png_c6_b16.png")->bits, 16);
}

TEST(Header, AnimatedWebpIsRefusedClearly) {
  const auto header = header_of("animated.webp");
  ASSERT_FALSE(header.has_value());
  EXPECT_EQ(header.error().code, Errc::unsupported);
  EXPECT_NE(header.error().message.find("animation"), std::string::npos);
}

TEST(Header, TooManyPixelsAreRefusedBeforeDecoding) {
  const auto bytes = read_bytes(fixture("baseline.jpg"));
  EXPECT_TRUE(read_header(bytes, {45 * 37}).has_value());
  EXPECT_EQ(read_header(bytes, {45 * 37 - 1}).error().code, Errc::too_large);
}

TEST(Header, BombsAreRefusedByTheirDimensions) {
  auto png = read_bytes(fixture("alpha.png"));
  const std::uint8_t huge[] = {0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff};
  std::memcpy(png.data() + 16, huge, sizeof(huge));
  EXPECT_EQ(read_header(png).error().code, Errc::too_large);
  std::memset(png.data() + 16, 0xff, 8);
  EXPECT_EQ(read_header(png).error().code, Errc::malformed);
  std::memset(png.data() + 16, 0, 8);
  EXPECT_EQ(read_header(png).error().code, Errc::malformed);
}

}  // namespace
}  // namespace dermlens
