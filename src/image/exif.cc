// Walks the first directory of a TIFF block; every offset in it is somebody else's.
#include "image/exif.h"

#include <cstdint>

#include "image/bytes.h"

namespace dermlens::codec {
namespace {

constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::uint32_t kTypeShort = 3;
constexpr std::uint32_t kTypeLong = 4;  // not the standard's, but written and read all the same

}  // namespace

Orientation exif_orientation(ByteView exif) {
  if (begins_with(exif, "Exif") && exif.size() > 6) exif = exif.subspan(6);
  const bool little = begins_with(exif, "II");
  if (exif.size() < 8 || (!little && !begins_with(exif, "MM"))) return Orientation::upright;
  const auto number = [&](std::size_t offset, std::size_t length) {
    return little ? little_endian(exif, offset, length) : big_endian(exif, offset, length);
  };
  const std::size_t directory = number(4, 4);
  if (number(2, 2) != 42 || directory + 2 > exif.size()) return Orientation::upright;
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > exif.size()) break;
    if (number(entry, 2) != kOrientationTag) continue;
    const std::uint32_t type = number(entry + 2, 2);
    if (type != kTypeShort && type != kTypeLong) break;
    const std::uint32_t value = number(entry + 8, type == kTypeShort ? 2 : 4);
    if (value < 1 || value > 8) break;
    return static_cast<Orientation>(value);
  }
  return Orientation::upright;
}

}  // namespace dermlens::codec
