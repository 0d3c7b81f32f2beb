// PNG through libpng, row by row.
#include <png.h>

#include <csetjmp>
#include <optional>

#include "image/encode.h"

namespace dermlens {
namespace {

constexpr int kZlibLevel = 1;

// One run of the writer. Lives outside of the frames that longjmp leaves.
struct PngWriter {
  explicit PngWriter(GrowingBytes& bytes) : out(bytes) {}
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  ~PngWriter() { png_destroy_write_struct(&write, &info); }

  GrowingBytes& out;
  png_structp write = nullptr;
  png_infop info = nullptr;
  std::jmp_buf escape{};
  std::optional<Error> error;
};

[[noreturn]] void on_error(png_structp write, png_const_charp) {
  std::longjmp(static_cast<PngWriter*>(png_get_error_ptr(write))->escape, 1);
}

void on_warning(png_structp, png_const_charp) {}

// Keeps what append says; a frame of its own, so that longjmp passes no destructor.
bool append(PngWriter& writer, png_const_bytep data, png_size_t size) {
  auto done = writer.out.append(data, size);
  if (!done) writer.error = std::move(done).error();
  return !writer.error.has_value();
}

void on_write(png_structp write, png_bytep data, png_size_t size) {
  if (!append(*static_cast<PngWriter*>(png_get_io_ptr(write)), data, size))
    png_error(write, "no room");
}

bool write_rows(PngWriter& writer, const Picture& picture) {
  if (setjmp(writer.escape) != 0) return false;
  writer.write = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer, on_error, on_warning);
  if (writer.write == nullptr) return false;
  writer.info = png_create_info_struct(writer.write);
  if (writer.info == nullptr) return false;
  png_set_write_fn(writer.write, &writer, on_write, [](png_structp) {});
  png_set_user_limits(writer.write, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_compression_level(writer.write, kZlibLevel);
  png_set_filter(writer.write, 0, PNG_FILTER_SUB);
  png_set_IHDR(writer.write, writer.info, picture.size().width, picture.size().height, 8,
               PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.write, writer.info);
  for (std::uint32_t y = 0; y < picture.size().height; ++y)
    png_write_row(writer.write, picture.row(y));
  png_write_end(writer.write, nullptr);
  return true;
}

// zlib's state, libpng's structs and buffer, and its rows: the last, this one and the filtered one.
Bytes working_bytes(Size size) { return (320 << 10) + 4 * (Bytes{3} * size.width + 64); }

}  // namespace

// Noise, which zlib stores as it is: a filter's byte a row, five bytes a block of at least 4 KiB,
// twelve a chunk of 8 KiB.
Bytes longest_png(Size size) {
  const Bytes rows = (Bytes{3} * size.width + 1) * size.height;
  return rows + rows / 256 + 1024;
}

Bytes png_cost(Size size) { return working_bytes(size) + longest_png(size); }

Result<GrowingBytes> encode_png(const Picture& picture, Ledger& ledger) {
  TRY(const Reservation hold, ledger.reserve(Category::encode, working_bytes(picture.size())));
  // At once: pages that stay empty are not in memory, and growing would hold two blocks.
  TRY(GrowingBytes out, GrowingBytes::make(ledger, Category::encode, longest_png(picture.size())));
  PngWriter writer(out);
  if (!write_rows(writer, picture)) {
    if (writer.error) return tl::make_unexpected(std::move(*writer.error));
    return fail(Errc::no_memory, "the PNG encoder found no memory");
  }
  out.shrink();
  return out;
}

}  // namespace dermlens
