// PNG through libpng: every colour type becomes 8-bit RGB over white. Plain files flow through row
// by row; interlaced ones need the whole picture, and are priced so. Every ancillary chunk but
// transparency is skipped unread, so none of them can be a bomb.
#include <png.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <string>
#include <vector>

#include "image/bytes.h"
#include "image/codec.h"
#include "image/exif.h"

namespace dermlens::codec {
namespace {

constexpr std::size_t kSignature = 8;
// Type, width, height, bits, colour type, compression, filter, interlace.
constexpr std::size_t kHeaderChunk = 13;

// One run of the reader. Lives outside of the frames that longjmp leaves.
struct Png {
  explicit Png(ByteView file) : bytes(file) {}
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;
  ~Png() { png_destroy_read_struct(&read, &info, nullptr); }

  ByteView bytes;
  std::size_t at = 0;
  png_structp read = nullptr;
  png_infop info = nullptr;
  std::jmp_buf escape{};
  bool ran_out = false;
  bool cancelled = false;
  std::array<char, 128> message{};
};

[[noreturn]] void on_error(png_structp read, png_const_charp text) {
  Png& png = *static_cast<Png*>(png_get_error_ptr(read));
  std::strncpy(png.message.data(), text, png.message.size() - 1);
  std::longjmp(png.escape, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp read, png_bytep out, png_size_t size) {
  Png& png = *static_cast<Png*>(png_get_io_ptr(read));
  if (size > png.bytes.size() - png.at) {
    png.ran_out = true;
    png_error(read, "out of data");
  }
  std::memcpy(out, png.bytes.data() + png.at, size);
  png.at += size;
}

void skip_ancillary_chunks(png_structp read) {
  static const char names[] =
      "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0"
      "sTER\0tEXt\0tIME\0zTXt";
  png_set_keep_unknown_chunks(read, PNG_HANDLE_CHUNK_NEVER,
                              reinterpret_cast<png_const_bytep>(names), sizeof(names) / 5);
}

// Reads up to the pixels and asks for RGB; false with the reason in `png`.
bool open(Png& png) {
  if (setjmp(png.escape) != 0) return false;
  png.read = png_create_read_struct(PNG_LIBPNG_VER_STRING, &png, on_error, on_warning);
  if (png.read == nullptr) return false;
  png.info = png_create_info_struct(png.read);
  if (png.info == nullptr) return false;
  png_set_read_fn(png.read, &png, on_read);
  png_set_user_limits(png.read, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  skip_ancillary_chunks(png.read);
  png_read_info(png.read, png.info);
  png_set_expand(png.read);
  png_set_scale_16(png.read);
  png_set_gray_to_rgb(png.read);
  png_color_16 white{};
  white.red = white.green = white.blue = white.gray = 255;
  png_set_background(png.read, &white, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
  return true;
}

bool stopped(Png& png, const std::stop_token& stop) {
  png.cancelled = stop.stop_requested();
  return png.cancelled;
}

// `pixels` holds one row, or the whole picture where it is interlaced.
bool push_rows(Png& png, const Header& header, std::uint8_t* pixels, RowSink& sink,
               const std::stop_token& stop) {
  if (setjmp(png.escape) != 0) return false;
  const int passes = png_set_interlace_handling(png.read);
  png_read_update_info(png.read, png.info);
  const std::size_t stride = std::size_t{3} * header.stored.width;
  if (png_get_rowbytes(png.read, png.info) != stride) png_error(png.read, "unexpected row size");
  for (int pass = 0; pass < passes; ++pass) {
    for (std::uint32_t y = 0; y < header.stored.height; ++y) {
      if (stopped(png, stop)) return false;
      std::uint8_t* row = header.whole_image ? pixels + stride * y : pixels;
      png_read_row(png.read, row, nullptr);
      if (pass == passes - 1) sink.row(row);
    }
  }
  return true;
}

tl::unexpected<Error> reason(const Png& png) {
  if (png.cancelled) return fail(Errc::cancelled, "decoding was called off");
  if (png.ran_out)
    return fail(Errc::malformed, "the PNG is cut short (ends after ", png.bytes.size(), " B)");
  return fail(Errc::malformed, "the PNG is broken (", png.message.data(), ")");
}

Orientation find_orientation(ByteView bytes, bool& transparent) {
  Orientation orientation = Orientation::upright;
  std::size_t at = kSignature;
  while (at + 12 <= bytes.size()) {
    const std::size_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12) break;
    const ByteView chunk = bytes.subspan(at + 4);
    if (begins_with(chunk, "tRNS")) transparent = true;
    if (begins_with(chunk, "eXIf")) orientation = exif_orientation(chunk.subspan(4, length));
    if (begins_with(chunk, "IEND")) break;
    at += 12 + length;
  }
  return orientation;
}

}  // namespace

Result<Header> read_png_header(ByteView bytes) {
  if (bytes.size() < kSignature + 8 + kHeaderChunk)
    return fail(Errc::malformed, "the PNG is cut short (ends after ", bytes.size(), " B)");
  if (big_endian(bytes, kSignature, 4) != kHeaderChunk ||
      !begins_with(bytes.subspan(kSignature + 4), "IHDR"))
    return fail(Errc::malformed, "the PNG is broken (it does not begin with IHDR)");
  const ByteView fields = bytes.subspan(kSignature + 8);
  Header header;
  header.format = Format::png;
  header.stored = {big_endian(fields, 0, 4), big_endian(fields, 4, 4)};
  header.bits = static_cast<int>(big_endian(fields, 8, 1));
  const std::uint32_t colour = big_endian(fields, 9, 1);
  const std::uint32_t interlace = big_endian(fields, 12, 1);
  if (header.stored.width > PNG_UINT_31_MAX || header.stored.height > PNG_UINT_31_MAX ||
      header.bits > 16 || colour > 6 || interlace > 1)
    return fail(Errc::malformed, "the PNG is broken (impossible header)");
  header.alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0;
  header.channels =
      (colour == PNG_COLOR_TYPE_PALETTE || (colour & PNG_COLOR_MASK_COLOR) == 0 ? 1 : 3) +
      (header.alpha ? 1 : 0);
  header.whole_image = interlace == 1;
  header.orientation = find_orientation(bytes, header.alpha);
  return header;
}

Bytes png_bytes(const Header& header) {
  // libpng's structs, zlib's window and state, the read buffer.
  const Bytes library = 96 << 10;
  // Two rows of libpng's at 16-bit RGBA, whatever the file holds.
  const Bytes rows = 2 * (8 * (Bytes{header.stored.width} + 8) + 64);
  const Bytes ours =
      3 * Bytes{header.stored.width} * (header.whole_image ? header.stored.height : 1);
  return library + rows + ours;
}

Result<void> decode_png(ByteView bytes, const Header& header, RowSink& sink,
                        const std::stop_token& stop) {
  const std::size_t rows = header.whole_image ? header.stored.height : 1;
  std::vector<std::uint8_t> pixels(std::size_t{3} * header.stored.width * rows);
  Png png(bytes);
  if (!open(png)) return reason(png);
  if (png_get_image_width(png.read, png.info) != header.stored.width ||
      png_get_image_height(png.read, png.info) != header.stored.height ||
      (png_get_interlace_type(png.read, png.info) != PNG_INTERLACE_NONE) != header.whole_image)
    return fail(Errc::corrupt, "the PNG changed after its header was read");
  if (!push_rows(png, header, pixels.data(), sink, stop)) return reason(png);
  return {};
}

}  // namespace dermlens::codec
