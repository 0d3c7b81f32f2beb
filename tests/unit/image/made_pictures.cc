// Row by row through the codecs' encoders, so that making a picture needs less memory than reading
// it may. Errors of the encoders end the test binary: nothing here is hostile.
#include "made_pictures.h"

#include <png.h>
#include <webp/encode.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>

namespace dermlens::made {
namespace {

// Waves and a little noise, so that no codec finds it trivial.
std::uint8_t level(std::uint32_t x, std::uint32_t y, std::uint32_t channel) {
  const std::uint32_t noise = (x * 2654435761U ^ y * 2246822519U ^ channel * 3266489917U) >> 28;
  return static_cast<std::uint8_t>((x / 3 + y / 5 * (channel + 1) + noise) & 0xff);
}

void fill_row(std::vector<std::uint8_t>& row, std::uint32_t y, std::uint32_t channels) {
  for (std::size_t i = 0; i < row.size(); ++i)
    row[i] = level(static_cast<std::uint32_t>(i / channels), y,
                   static_cast<std::uint32_t>(i % channels));
}

std::vector<std::byte> copy_of(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  return {bytes, bytes + size};
}

}  // namespace

std::vector<std::byte> jpeg(Size size, const JpegForm& form) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long length = 0;
  jpeg_mem_dest(&info, &data, &length);
  info.image_width = size.width;
  info.image_height = size.height;
  info.input_components = form.channels;
  info.in_color_space = form.channels == 1   ? JCS_GRAYSCALE
                        : form.channels == 4 ? JCS_CMYK
                                             : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 75, TRUE);
  info.comp_info[0].h_samp_factor = form.across;
  info.comp_info[0].v_samp_factor = form.down;
  if (form.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  std::vector<std::uint8_t> row(std::size_t{size.width} * static_cast<unsigned>(form.channels));
  while (info.next_scanline < info.image_height) {
    fill_row(row, info.next_scanline, static_cast<std::uint32_t>(form.channels));
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  auto bytes = copy_of(data, length);
  std::free(data);
  return bytes;
}

std::vector<std::byte> png(Size size, const PngForm& form) {
  std::vector<std::byte> bytes;
  png_structp write = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(write);
  png_set_write_fn(
      write, &bytes,
      [](png_structp png, png_bytep data, png_size_t length) {
        auto& out = *static_cast<std::vector<std::byte>*>(png_get_io_ptr(png));
        const auto* begin = reinterpret_cast<const std::byte*>(data);
        out.insert(out.end(), begin, begin + length);
      },
      nullptr);
  png_set_compression_level(write, 1);
  const std::uint32_t channels = form.alpha ? 4 : 3;
  png_set_IHDR(write, info, size.width, size.height, form.bits,
               form.alpha ? PNG_COLOR_TYPE_RGBA : PNG_COLOR_TYPE_RGB,
               form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(write, info);
  const int passes = png_set_interlace_handling(write);
  const std::uint32_t samples = channels * (form.bits == 16 ? 2 : 1);
  std::vector<std::uint8_t> row(std::size_t{size.width} * samples);
  for (int pass = 0; pass < passes; ++pass) {
    for (std::uint32_t y = 0; y < size.height; ++y) {
      fill_row(row, y, samples);
      png_write_row(write, row.data());
    }
  }
  png_write_end(write, nullptr);
  png_destroy_write_struct(&write, &info);
  return bytes;
}

std::vector<std::byte> webp(Size size, const WebpForm& form) {
  const std::uint32_t channels = form.alpha ? 4 : 3;
  const std::size_t stride = std::size_t{size.width} * channels;
  std::vector<std::uint8_t> pixels(stride * size.height);
  std::vector<std::uint8_t> row(stride);
  for (std::uint32_t y = 0; y < size.height; ++y) {
    fill_row(row, y, channels);
    std::copy(row.begin(), row.end(), pixels.begin() + static_cast<std::ptrdiff_t>(stride * y));
  }
  WebPConfig config;
  WebPPicture picture;
  WebPMemoryWriter writer;
  WebPConfigInit(&config);
  WebPPictureInit(&picture);
  WebPMemoryWriterInit(&writer);
  config.lossless = form.lossless ? 1 : 0;
  config.method = 1;
  config.quality = 50;
  picture.use_argb = config.lossless;
  picture.width = static_cast<int>(size.width);
  picture.height = static_cast<int>(size.height);
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &writer;
  const auto import = form.alpha ? WebPPictureImportRGBA : WebPPictureImportRGB;
  import(&picture, pixels.data(), static_cast<int>(stride));
  WebPEncode(&config, &picture);
  auto bytes = copy_of(writer.mem, writer.size);
  WebPPictureFree(&picture);
  WebPMemoryWriterClear(&writer);
  return bytes;
}

}  // namespace dermlens::made
