// JPEG through libjpeg-turbo, row by row.
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <vector>

// jpeglib.h needs <cstdio> before it, jerror.h needs jpeglib.h.
// clang-format off
#include <jpeglib.h>
// clang-format on

#include "image/encode.h"

namespace dermlens {
namespace {

constexpr Bytes kFirstBytes = 64 << 10;
constexpr std::size_t kBuffer = 16 << 10;

// One run of the compressor. Lives outside of the frames that longjmp leaves.
struct JpegWriter {
  explicit JpegWriter(GrowingBytes& bytes) : out(bytes) {}
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() { jpeg_destroy_compress(&info); }

  GrowingBytes& out;
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_destination_mgr destination{};
  std::jmp_buf escape{};
  std::optional<Error> error;
  std::array<JOCTET, kBuffer> buffer{};
};

// Where the next row lies until the one after it is asked for.
using NextRow = std::function<const std::uint8_t*(std::uint32_t y)>;

JpegWriter& self(j_compress_ptr info) { return *static_cast<JpegWriter*>(info->client_data); }

void on_error(j_common_ptr info) {
  std::longjmp(static_cast<JpegWriter*>(info->client_data)->escape, 1);
}

// Keeps what append says; a frame of its own, so that longjmp passes no destructor.
bool append(JpegWriter& writer, std::size_t size) {
  auto done = writer.out.append(writer.buffer.data(), size);
  if (!done) writer.error = std::move(done).error();
  writer.destination.next_output_byte = writer.buffer.data();
  writer.destination.free_in_buffer = writer.buffer.size();
  return !writer.error.has_value();
}

void flush(j_compress_ptr info, std::size_t size) {
  if (!append(self(info), size)) std::longjmp(self(info).escape, 1);
}

bool write_rows(JpegWriter& writer, Size size, const NextRow& next, int quality) {
  if (setjmp(writer.escape) != 0) return false;
  jpeg_compress_struct& info = writer.info;
  info.err = jpeg_std_error(&writer.errors);
  writer.errors.error_exit = on_error;
  writer.errors.emit_message = [](j_common_ptr, int) {};
  info.client_data = &writer;
  jpeg_create_compress(&info);
  writer.destination.next_output_byte = writer.buffer.data();
  writer.destination.free_in_buffer = writer.buffer.size();
  writer.destination.init_destination = [](j_compress_ptr) {};
  writer.destination.empty_output_buffer = [](j_compress_ptr compress) -> boolean {
    flush(compress, kBuffer);
    return TRUE;
  };
  writer.destination.term_destination = [](j_compress_ptr compress) {
    flush(compress, kBuffer - compress->dest->free_in_buffer);
  };
  info.dest = &writer.destination;
  info.image_width = size.width;
  info.image_height = size.height;
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    // libjpeg asks for mutable rows, and only reads them.
    JSAMPROW rows[] = {const_cast<JSAMPROW>(next(info.next_scanline))};
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

Result<GrowingBytes> encode(Size size, const NextRow& next, int quality, Ledger& ledger) {
  if (quality < 1 || quality > 100)
    return fail(Errc::usage, "JPEG quality is out of range (", quality, ", 1 to 100)");
  if (size.width > JPEG_MAX_DIMENSION || size.height > JPEG_MAX_DIMENSION)
    return fail(Errc::unsupported, "too long for a JPEG (", to_string(size), ", limit ",
                JPEG_MAX_DIMENSION, ")");
  // Tables and structs, and three planes of some 40 rows.
  const Bytes working = (96 << 10) + 120 * (Bytes{size.width} + 64);
  TRY(const Reservation hold, ledger.reserve(Category::encode, working));
  TRY(GrowingBytes out, GrowingBytes::make(ledger, Category::encode, kFirstBytes));
  JpegWriter writer(out);
  if (!write_rows(writer, size, next, quality)) {
    if (writer.error) return tl::make_unexpected(std::move(*writer.error));
    return fail(Errc::no_memory, "the JPEG encoder found no memory");
  }
  out.shrink();
  return out;
}

}  // namespace

Result<GrowingBytes> encode_jpeg(const Picture& picture, int quality, Ledger& ledger) {
  return encode(
      picture.size(), [&picture](std::uint32_t y) { return picture.row(y); }, quality, ledger);
}

Result<GrowingBytes> encode_jpeg(Size size, const FillRow& fill, int quality, Ledger& ledger) {
  const Bytes row_bytes = Bytes{3} * size.width;
  TRY(const Reservation hold, ledger.reserve(Category::encode, row_bytes));
  std::vector<std::uint8_t> row(row_bytes);
  return encode(
      size,
      [&](std::uint32_t y) {
        fill(y, row);
        return row.data();
      },
      quality, ledger);
}

}  // namespace dermlens
