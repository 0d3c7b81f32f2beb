#include "server/base64.h"

#include <gtest/gtest.h>

#include <array>

#include "diagnose/base64.h"

namespace dermlens::server {
namespace {

Result<std::string> decoded(std::string text) {
  auto size = decode_base64(text, std::as_writable_bytes(std::span(text)));
  if (!size) return tl::make_unexpected(size.error());
  return text.substr(0, *size);
}

TEST(Base64, DecodesInPlaceWhatTheEncoderMakes) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(*decoded(diagnose::to_base64(bytes)), bytes) << i;
    bytes += static_cast<char>(i * 7);
  }
}

TEST(Base64, PaddingAndLineEndsAreOptional) {
  EXPECT_EQ(*decoded("aGVs\r\nbG8=\r\n"), "hello");
  EXPECT_EQ(*decoded("aGVsbG8"), "hello");
  EXPECT_EQ(*decoded("_-8"), *decoded("/+8="));
}

TEST(Base64, ForeignCharactersAreMalformed) {
  for (const char* text : {"aGVs!G8=", "a", "aGVsbG8==", "=", "aG=s", "a GVs", "aGVsb"})
    EXPECT_FALSE(decoded(text)) << text;
}

TEST(Base64, NeverWritesPastTheEnd) {
  std::array<std::byte, 4> small{};
  EXPECT_EQ(decode_base64("aGVsbG8=", small).error().code, Errc::too_large);
}

TEST(DataUrl, OnlyImagesInBase64Are) {
  EXPECT_EQ(*strip_data_url("data:image/jpeg;base64,AAAA"), "AAAA");
  EXPECT_EQ(*strip_data_url("AAAA"), "AAAA");
  for (const char* text : {"data:text/html;base64,AAAA", "data:image/png,AAAA", "data:image/png"})
    EXPECT_FALSE(strip_data_url(text)) << text;
}

}  // namespace
}  // namespace dermlens::server
