// A pattern of integers and no random device, so that every run measures the same picture.
#include "cli/synthetic_photo.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <span>

#include "image/encode.h"

namespace dermlens::cli {
namespace {

constexpr Bytes kRoom = Bytes{64} << 20;
constexpr int kQuality = 80;
// The pattern's own grid, stretched over a picture of any size.
constexpr std::uint32_t kGrid = 1024;

struct Tone {
  int red;
  int green;
  int blue;
};

// A light falling from one side, and a patch with a rim in the middle.
Tone tone_at(std::uint32_t u, std::uint32_t v) {
  const int du = static_cast<int>(u) - 540;
  const int dv = static_cast<int>(v) - 470;
  const int distance = du * du + dv * dv * 2;
  const int light = static_cast<int>((u + 2 * v) / 48);
  if (distance < 32'000) return {176 - light / 2, 84, 78};
  if (distance < 60'000) return {190 - light, 118, 104};
  return {212 - light, 164 - light, 140 - light};
}

// Two levels of grain, from the place alone.
int grain(std::uint32_t x, std::uint32_t y) {
  std::uint32_t mixed = x * 2'654'435'761U + y * 2'246'822'519U;
  mixed ^= mixed >> 15;
  return static_cast<int>((mixed * 2'654'435'769U) >> 29) - 4;
}

void fill_row(Size size, std::uint32_t y, std::span<std::uint8_t> row) {
  const auto v = static_cast<std::uint32_t>(std::uint64_t{y} * kGrid / std::max(1U, size.height));
  for (std::uint32_t x = 0; x < size.width; ++x) {
    const auto u = static_cast<std::uint32_t>(std::uint64_t{x} * kGrid / size.width);
    const Tone tone = tone_at(u, v);
    const int noise = grain(x, y);
    std::uint8_t* const pixel = row.data() + std::size_t{3} * x;
    pixel[0] = static_cast<std::uint8_t>(std::clamp(tone.red + noise, 0, 255));
    pixel[1] = static_cast<std::uint8_t>(std::clamp(tone.green + noise, 0, 255));
    pixel[2] = static_cast<std::uint8_t>(std::clamp(tone.blue + noise, 0, 255));
  }
}

void write_big_endian(std::string& bytes, std::size_t at, std::uint32_t value, int length) {
  for (int i = 0; i < length; ++i)
    bytes[at + static_cast<std::size_t>(i)] = static_cast<char>(value >> (8 * (length - 1 - i)));
}

// A PNG whose header names another size; its checksum is right.
std::string png_of_size(std::string png, std::uint32_t width, std::uint32_t height) {
  constexpr std::size_t kHeader = 12;  // signature and length come before the chunk's name
  constexpr std::size_t kLength = 17;  // name and 13 bytes
  write_big_endian(png, kHeader + 4, width, 4);
  write_big_endian(png, kHeader + 8, height, 4);
  boost::crc_32_type crc;
  crc.process_bytes(png.data() + kHeader, kLength);
  write_big_endian(png, kHeader + kLength, crc.checksum(), 4);
  return png;
}

// A JPEG whose frame header names another size.
std::string jpeg_of_size(std::string jpeg, std::uint32_t width, std::uint32_t height) {
  const std::size_t frame = jpeg.find("\xFF\xC0");
  if (frame == std::string::npos || frame + 9 > jpeg.size()) return {};
  write_big_endian(jpeg, frame + 5, height, 2);
  write_big_endian(jpeg, frame + 7, width, 2);
  return jpeg;
}

Result<std::string> small_png() {
  constexpr Size kSize{96, 80};
  Ledger ledger(kRoom);
  TRY(Picture picture, Picture::make(kSize, ledger));
  for (std::uint32_t y = 0; y < kSize.height; ++y)
    fill_row(kSize, y, {picture.row(y), std::size_t{3} * kSize.width});
  TRY(const GrowingBytes png, encode_png(picture, ledger));
  return std::string(png.text());
}

}  // namespace

Result<std::string> synthetic_photo(Size size) {
  Ledger ledger(kRoom);
  TRY(const GrowingBytes jpeg,
      encode_jpeg(
          size, [&](std::uint32_t y, std::span<std::uint8_t> row) { fill_row(size, y, row); },
          kQuality, ledger));
  return std::string(jpeg.text());
}

Result<std::vector<BrokenFile>> broken_files() {
  TRY(const std::string jpeg, synthetic_photo({320, 240}));
  TRY(const std::string png, small_png());
  std::string bad_checksum = png;
  bad_checksum[29] = static_cast<char>(bad_checksum[29] ^ 0x55);
  using namespace std::string_literals;
  return std::vector<BrokenFile>{
      {"an empty file", ""},
      {"a text", "this is no photo, it only says so"},
      {"zeros", std::string(4096, '\0')},
      {"a JPEG's first 64 bytes", jpeg.substr(0, 64)},
      {"a JPEG of 65,000 x 65,000", jpeg_of_size(jpeg, 65'000, 65'000)},
      {"a PNG cut in the middle", png.substr(0, png.size() / 2)},
      {"a PNG with a wrong checksum", std::move(bad_checksum)},
      {"a PNG of 60,000 x 60,000", png_of_size(png, 60'000, 60'000)},
      {"a GIF", "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xFF\xFF\xFF;"s},
      {"a WebP without a picture", "RIFF\x10\x00\x00\x00WEBPVP8 \x04\x00\x00\x00\x00\x00\x00\x00"s},
  };
}

}  // namespace dermlens::cli
