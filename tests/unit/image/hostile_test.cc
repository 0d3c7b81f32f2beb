// Files that were cut, damaged or built to hurt: an error or a picture, never a crash.
#include <zlib.h>

#include <string>

#include "fixtures.h"

namespace dermlens {
namespace {

const std::string kFiles[] = {"baseline.jpg",  "progressive.jpg",  "restarts.jpg",
                              "cmyk.jpg",      "gray.jpg",         "alpha.png",
                              "png_c3_b4.png", "png_c6_b16_i.png", "lossy.webp",
                              "lossless.webp", "alpha_lossy.webp", "alpha_lossless.webp",
                              "o6.jpg",        "animated.webp",    "one_frame.png"};

class Hostile : public testing::TestWithParam<std::string> {};

void expect_known_error(const Error& error) {
  EXPECT_TRUE(error.code == Errc::malformed || error.code == Errc::unsupported ||
              error.code == Errc::too_large || error.code == Errc::over_limit ||
              error.code == Errc::no_memory)
      << to_string(error.code) << ": " << error.message;
}

TEST_P(Hostile, CutAnywhereItIsAnErrorOrAPicture) {
  const auto bytes = read_bytes(fixture(GetParam()));
  const std::size_t step = std::max<std::size_t>(1, bytes.size() / 600);
  Ledger ledger(32 << 20);
  for (std::size_t length = 0; length < bytes.size(); length += step) {
    const std::vector<std::byte> cut(bytes.begin(),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const auto picture = decode_whole(cut, ledger);
    if (!picture) expect_known_error(picture.error());
    // Half a file is never a picture.
    if (length < bytes.size() / 2) {
      EXPECT_FALSE(picture.has_value()) << length;
    }
  }
  EXPECT_EQ(ledger.reserved(), 0U);
}

TEST_P(Hostile, DamagedAnywhereItIsAnErrorOrAPicture) {
  const auto bytes = read_bytes(fixture(GetParam()));
  Ledger ledger(32 << 20);
  std::uint32_t random = 12345;
  for (int round = 0; round < 400; ++round) {
    auto damaged = bytes;
    for (int i = 0; i < 1 + round % 8; ++i) {
      random = random * 1664525 + 1013904223;
      damaged[random % damaged.size()] = static_cast<std::byte>(random >> 24);
    }
    const auto picture = decode_whole(damaged, ledger);
    if (!picture) expect_known_error(picture.error());
  }
  EXPECT_EQ(ledger.reserved(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Files, Hostile, testing::ValuesIn(kFiles), [](const auto& tested) {
  std::string name = tested.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

TEST(Hostile, JpegCutInItsScanIsCalledCutShort) {
  const auto bytes = read_bytes(fixture("baseline.jpg"));
  Ledger ledger(kPlenty);
  const auto picture = decode_whole(ByteView(bytes).first(bytes.size() * 3 / 4), ledger);
  ASSERT_FALSE(picture.has_value());
  EXPECT_EQ(picture.error().code, Errc::malformed);
  EXPECT_NE(picture.error().message.find("cut short"), std::string::npos);
}

TEST(Hostile, JpegThatOnlyLacksItsEndMarkerIsRead) {
  const auto bytes = read_bytes(fixture("baseline.jpg"));
  Ledger ledger(kPlenty);
  EXPECT_TRUE(decode_whole(ByteView(bytes).first(bytes.size() - 2), ledger).has_value());
}

TEST(Hostile, PngCutInItsDataIsCalledCutShort) {
  const auto bytes = read_bytes(fixture("alpha.png"));
  Ledger ledger(kPlenty);
  const auto picture = decode_whole(ByteView(bytes).first(bytes.size() / 2), ledger);
  ASSERT_FALSE(picture.has_value());
  EXPECT_NE(picture.error().message.find("cut short"), std::string::npos);
}

void append_number(std::vector<std::byte>& bytes, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<std::byte>(number >> shift));
}

std::vector<std::byte> png_chunk(const std::string& name, const std::string& data) {
  std::vector<std::byte> chunk;
  append_number(chunk, static_cast<std::uint32_t>(data.size()));
  const std::string body = name + data;
  for (const char c : body) chunk.push_back(static_cast<std::byte>(c));
  append_number(chunk,
                static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()),
                                                 static_cast<uInt>(body.size()))));
  return chunk;
}

// alpha.png with something between its header and its pixels.
std::vector<std::byte> png_with(const std::string& name, const std::string& data) {
  auto bytes = read_bytes(fixture("alpha.png"));
  const auto chunk = png_chunk(name, data);
  bytes.insert(bytes.begin() + 33, chunk.begin(), chunk.end());
  return bytes;
}

std::string deflated_zeros(std::size_t size) {
  const std::string zeros(size, '\0');
  std::string out(compressBound(static_cast<uLong>(size)), '\0');
  uLongf length = static_cast<uLongf>(out.size());
  compress2(reinterpret_cast<Bytef*>(out.data()), &length,
            reinterpret_cast<const Bytef*>(zeros.data()), static_cast<uLong>(size), 9);
  out.resize(length);
  return out;
}

TEST(Hostile, BombsInAncillaryChunksAreNeverUnpacked) {
  Ledger ledger(1 << 20);
  const std::string bomb = deflated_zeros(64 << 20);
  const std::string head("name\0\0", 6);
  const std::string international("name\0\1\0\0\0", 9);
  for (const auto& [name, data] :
       {std::pair{"zTXt", head + bomb}, std::pair{"iCCP", head + bomb},
        std::pair{"iTXt", international + bomb}, std::pair{"eXIf", std::string(2 << 20, 'I')},
        std::pair{"sPLT", std::string(2 << 20, 'x')},
        std::pair{"zzZz", std::string(9 << 20, 'x')}}) {
    const auto picture = decode_whole(png_with(name, data), ledger);
    EXPECT_TRUE(picture.has_value()) << name << ": " << picture.error().message;
  }
}

TEST(Hostile, UnknownCriticalChunkIsRefused) {
  Ledger ledger(kPlenty);
  const auto picture = decode_whole(png_with("ZZZZ", "x"), ledger);
  ASSERT_FALSE(picture.has_value());
  EXPECT_EQ(picture.error().code, Errc::malformed);
}

TEST(Hostile, BytesThatChangeAfterTheirHeaderAreCorrupt) {
  Ledger ledger(kPlenty);
  const auto header = read_header(read_bytes(fixture("baseline.jpg")));
  ASSERT_TRUE(header.has_value());
  const Target whole[] = {Target::fit(100)};
  const auto other = decode(read_bytes(fixture("progressive.jpg")), *header, whole, ledger);
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, Errc::corrupt);
}

}  // namespace
}  // namespace dermlens
