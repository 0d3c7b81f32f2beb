// Picks the format's own reader and holds its answer against the limits.
#include "image/header.h"

#include "image/codec.h"

namespace dermlens {

std::string to_string(Size size) {
  return std::to_string(size.width) + "x" + std::to_string(size.height);
}

Result<Header> read_header(ByteView bytes, const Limits& limits) {
  TRY(const Format format, sniff_format(bytes));
  auto read = format == Format::jpeg  ? codec::read_jpeg_header(bytes)
              : format == Format::png ? codec::read_png_header(bytes)
                                      : codec::read_webp_header(bytes);
  TRY(const Header header, std::move(read));
  if (header.stored.width == 0 || header.stored.height == 0)
    return fail(Errc::malformed, "the image has no pixels (", to_string(header.stored), ")");
  TRY(const Bytes pixels, checked_mul(header.stored.width, header.stored.height));
  if (pixels > limits.max_pixels)
    return fail(Errc::too_large, "the image has too many pixels (", to_string(header.stored), " = ",
                pixels, ", limit ", limits.max_pixels, ")");
  return header;
}

}  // namespace dermlens
