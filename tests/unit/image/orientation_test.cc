// However the camera was held, the picture comes out upright.
#include <string>

#include "fixtures.h"
#include "image/exif.h"

namespace dermlens {
namespace {

class Orientations : public testing::TestWithParam<int> {};

TEST_P(Orientations, AllGiveTheSameUprightPicture) {
  Ledger ledger(kPlenty);
  const NpyArray upright = golden("upright.npy");
  for (const std::string format : {"png", "webp", "jpg"}) {
    const auto picture = decode_whole("o" + std::to_string(GetParam()) + "." + format, ledger);
    ASSERT_TRUE(picture.has_value()) << picture.error().message;
    const Distance apart = distance(*picture, upright);
    if (format == "jpg") {
      EXPECT_LT(apart.mean, 1.5);
    } else {
      EXPECT_EQ(apart.most, 0) << format;
    }
  }
}

TEST_P(Orientations, ResizedPicturesAreUprightToo) {
  Ledger ledger(kPlenty);
  const auto bytes = read_bytes(fixture("o" + std::to_string(GetParam()) + ".png"));
  const auto header = read_header(bytes);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(static_cast<int>(header->orientation), GetParam());
  EXPECT_EQ(header->upright(), (Size{48, 32}));
  const Target targets[] = {Target::exact({20, 25}), Target::fit(24)};
  const auto pictures = decode(bytes, *header, targets, ledger);
  ASSERT_TRUE(pictures.has_value());
  const Picture upright = picture_of(golden("upright.npy"), ledger);
  const auto exact = resize(upright, {20, 25}, Filter::lanczos, ledger);
  const auto fit = resize(upright, {24, 16}, Filter::bilinear, ledger);
  // The passes come in the other order when the sides are swapped, and each rounds and clips.
  const Distance exact_apart = distance((*pictures)[0].pixels(), exact->pixels());
  EXPECT_LE(exact_apart.most, 5);
  EXPECT_LE(exact_apart.mean, 0.3);
  EXPECT_LE(distance((*pictures)[1].pixels(), fit->pixels()).most, 2);
}

INSTANTIATE_TEST_SUITE_P(Exif, Orientations, testing::Range(1, 9));

std::vector<std::byte> exif_block(std::uint8_t type, std::uint8_t value, std::uint8_t entries) {
  const std::uint8_t block[] = {'I',  'I',  42, 0, 8, 0, 0, 0,     entries, 0, 0x12,
                                0x01, type, 0,  1, 0, 0, 0, value, 0,       0, 0};
  const auto bytes = std::as_bytes(std::span(block));
  return {bytes.begin(), bytes.end()};
}

TEST(Exif, GarbageMeansUpright) {
  EXPECT_EQ(codec::exif_orientation(exif_block(3, 6, 1)), Orientation::turn_right);
  EXPECT_EQ(codec::exif_orientation(exif_block(3, 9, 1)), Orientation::upright);
  EXPECT_EQ(codec::exif_orientation(exif_block(3, 0, 1)), Orientation::upright);
  EXPECT_EQ(codec::exif_orientation(exif_block(7, 6, 1)), Orientation::upright);
  EXPECT_EQ(codec::exif_orientation(exif_block(3, 6, 0)), Orientation::upright);
  EXPECT_EQ(codec::exif_orientation({}), Orientation::upright);
}

TEST(Exif, ALongCountsAsAShortDoes) {
  EXPECT_EQ(codec::exif_orientation(exif_block(4, 6, 1)), Orientation::turn_right);
  EXPECT_EQ(codec::exif_orientation(exif_block(4, 9, 1)), Orientation::upright);
  auto large = exif_block(4, 6, 1);
  large[20] = std::byte{1};  // 65,542: no orientation
  EXPECT_EQ(codec::exif_orientation(large), Orientation::upright);
}

TEST(Exif, CutAnywhereItNeverReadsBeyondItsEnd) {
  const auto block = exif_block(3, 6, 255);
  for (std::size_t length = 0; length < block.size(); ++length) {
    const std::vector<std::byte> cut(block.begin(),
                                     block.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(codec::exif_orientation(cut), Orientation::upright);
  }
}

}  // namespace
}  // namespace dermlens
