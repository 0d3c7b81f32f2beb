// What is encoded decodes to the same picture, carries no metadata, and is in the ledger.
#include "image/encode.h"

#include <algorithm>
#include <string>

#include "fixtures.h"

namespace dermlens {
namespace {

ByteView view(const GrowingBytes& bytes) { return std::as_bytes(bytes.bytes()); }

TEST(Encode, PngIsLossless) {
  Ledger ledger(kPlenty);
  const Picture picture = picture_of(golden("resize_97x61.npy"), ledger);
  const auto bytes = encode_png(picture, ledger);
  ASSERT_TRUE(bytes.has_value());
  const auto back = decode_whole(view(*bytes), ledger);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(distance(back->pixels(), picture.pixels()).most, 0);
}

TEST(Encode, JpegIsClose) {
  Ledger ledger(kPlenty);
  const auto picture = decode_whole("baseline.jpg", ledger);
  ASSERT_TRUE(picture.has_value());
  const auto bytes = encode_jpeg(*picture, 85, ledger);
  ASSERT_TRUE(bytes.has_value());
  const auto back = decode_whole(view(*bytes), ledger);
  ASSERT_TRUE(back.has_value());
  EXPECT_LT(distance(back->pixels(), picture->pixels()).mean, 8);
}

TEST(Encode, JpegByRowsIsTheSameFileAsJpegOfTheWholePicture) {
  Ledger ledger(kPlenty);
  const Picture picture = picture_of(golden("resize_97x61.npy"), ledger);
  const auto whole = encode_jpeg(picture, 85, ledger);
  const auto rows = encode_jpeg(
      picture.size(),
      [&](std::uint32_t y, std::span<std::uint8_t> row) {
        std::copy_n(picture.row(y), row.size(), row.begin());
      },
      85, ledger);
  ASSERT_TRUE(whole.has_value());
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ(rows->text(), whole->text());
}

TEST(Encode, NothingButPixelsIsHandedOut) {
  Ledger ledger(kPlenty);
  const auto picture = decode_whole("o6.jpg", ledger);
  ASSERT_TRUE(picture.has_value());
  const auto jpeg = encode_jpeg(*picture, 85, ledger);
  const auto png = encode_png(*picture, ledger);
  for (const std::string_view text : {jpeg->text(), png->text()}) {
    for (const std::string_view name : {"Exif", "eXIf", "tEXt", "iTXt", "tIME", "ICC"})
      EXPECT_EQ(text.find(name), std::string_view::npos) << name;
  }
}

TEST(Encode, TheLedgerHoldsTheOutputForAsLongAsItLives) {
  Ledger ledger(kPlenty);
  const Picture picture = picture_of(golden("resize_97x61.npy"), ledger);
  {
    const auto bytes = encode_png(picture, ledger);
    ASSERT_TRUE(bytes.has_value());
    EXPECT_EQ(ledger.reserved(Category::encode), bytes->bytes().size());
  }
  EXPECT_EQ(ledger.reserved(Category::encode), 0U);
}

TEST(Encode, EveryFailedReservationIsAnErrorAndLeavesNothingHeld) {
  Ledger ledger(kPlenty);
  auto picture = Picture::make({300, 400}, ledger);
  ASSERT_TRUE(picture.has_value());
  std::uint32_t noise = 1;
  for (std::uint8_t& level : picture->pixels())
    level = static_cast<std::uint8_t>((noise = noise * 1664525 + 1013904223) >> 24);
  const Bytes before = ledger.reserved();
  int failures = 0;
  for (std::int64_t n = 0; n < 64; ++n) {
    ledger.fail_at(n);
    const auto png = encode_png(*picture, ledger);
    ledger.fail_at(n);
    const auto jpeg = encode_jpeg(*picture, 95, ledger);
    failures += png ? 0 : 1;
    if (!png) {
      EXPECT_EQ(png.error().code, Errc::no_memory);
    }
    if (!jpeg) {
      EXPECT_EQ(jpeg.error().code, Errc::no_memory);
    }
  }
  EXPECT_GT(failures, 2);
  ledger.fail_at(-1);
  EXPECT_EQ(ledger.reserved(), before);
}

TEST(Encode, QualityOutsideOfItsRangeIsRefused) {
  Ledger ledger(kPlenty);
  const auto picture = Picture::make({2, 2}, ledger);
  EXPECT_EQ(encode_jpeg(*picture, 0, ledger).error().code, Errc::usage);
  EXPECT_EQ(encode_jpeg(*picture, 101, ledger).error().code, Errc::usage);
}

}  // namespace
}  // namespace dermlens
