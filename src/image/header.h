// What a picture's own header promises, read before a single pixel is decoded: enough to refuse it,
// and enough to price its decoding to the byte (image/decode.h).
// ICC profiles, gamma and every other ancillary record are ignored: pixels are taken as sRGB.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/checked.h"
#include "base/result.h"
#include "image/format.h"

namespace dermlens {

struct Size {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

// "4000x3000".
std::string to_string(Size size);

// The numbers are EXIF's: how the stored rows and columns lie in the upright picture.
enum class Orientation : std::uint8_t {
  upright = 1,
  mirrored = 2,
  upside_down = 3,
  mirrored_upside_down = 4,
  transposed = 5,
  turn_right = 6,  // a quarter turn clockwise makes it upright
  transversed = 7,
  turn_left = 8,
};

constexpr bool swaps_sides(Orientation orientation) {
  return orientation >= Orientation::transposed;
}
constexpr Size turned(Size size, Orientation orientation) {
  return swaps_sides(orientation) ? Size{size.height, size.width} : size;
}

// The default admits phones that say "50 megapixels" and mean 8192x6144.
struct Limits {
  Bytes max_pixels = 50 << 20;
};

struct Header {
  Format format = Format::jpeg;
  Size stored;  // before the orientation is applied
  Orientation orientation = Orientation::upright;
  int channels = 3;       // as stored: 1 grey or palette, 2 grey and alpha, 3, 4 with alpha or CMYK
  int bits = 8;           // per channel, as stored
  bool alpha = false;     // shown over white
  bool cmyk = false;      // JPEG: CMYK or YCCK, read as Adobe writes them
  bool lossless = false;  // WebP
  Bytes lossless_bytes = 0;  // WebP: what its lossless part takes to decode
  // The codec keeps the whole picture: a JPEG in several scans, an interlaced PNG, a WebP.
  bool whole_image = false;
  // JPEG: each component's horizontal and vertical sampling factors.
  std::array<std::array<std::uint8_t, 2>, 4> sampling{};

  Size upright() const { return turned(stored, orientation); }
};

// Reads the header of a JPEG, PNG or WebP; allocates at most 64 KiB and gives it back.
// Fails with unsupported (another format, an animation, a coding we do not read), malformed, or
// too_large (over `limits`).
Result<Header> read_header(ByteView bytes, const Limits& limits = {});

}  // namespace dermlens
