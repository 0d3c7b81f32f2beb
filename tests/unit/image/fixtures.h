// The small pictures under tests/golden/image, and how far two pictures are apart.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "base/npy.h"
#include "image/decode.h"

namespace dermlens {

inline constexpr Bytes kPlenty = Bytes{1} << 30;

inline std::string fixture(const std::string& name) {
  return std::string(DERMLENS_SOURCE_DIR "/tests/golden/image/") + name;
}

inline std::vector<std::byte> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

inline NpyArray golden(const std::string& name) {
  auto array = read_npy(fixture(name));
  EXPECT_TRUE(array.has_value()) << (array ? "" : array.error().message);
  return array ? std::move(*array) : NpyArray{};
}

inline Size size_of_picture(const NpyArray& array) {
  return {static_cast<std::uint32_t>(array.shape.at(1)),
          static_cast<std::uint32_t>(array.shape.at(0))};
}

inline Picture picture_of(const NpyArray& array, Ledger& ledger) {
  auto picture = Picture::make(size_of_picture(array), ledger);
  EXPECT_TRUE(picture.has_value());
  std::transform(array.data.begin(), array.data.end(), picture->pixels().begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return std::move(*picture);
}

struct Distance {
  double mean = 0;
  int most = 0;
};

inline Distance distance(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  EXPECT_EQ(a.size(), b.size());
  Distance distance;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const int apart = std::abs(a[i] - b[i]);
    distance.mean += apart;
    distance.most = std::max(distance.most, apart);
  }
  distance.mean /= static_cast<double>(std::max<std::size_t>(1, a.size()));
  return distance;
}

inline Distance distance(const Picture& picture, const NpyArray& array) {
  EXPECT_EQ(picture.size(), size_of_picture(array));
  return distance(picture.pixels(),
                  {reinterpret_cast<const std::uint8_t*>(array.data.data()), array.data.size()});
}

// The picture at its full size.
inline Result<Picture> decode_whole(ByteView bytes, Ledger& ledger) {
  TRY(const Header header, read_header(bytes));
  const Target whole[] = {Target::fit(1 << 16)};
  TRY(auto pictures, decode(bytes, header, whole, ledger));
  return std::move(pictures.front());
}

inline Result<Picture> decode_whole(const std::string& name, Ledger& ledger) {
  return decode_whole(read_bytes(fixture(name)), ledger);
}

}  // namespace dermlens
