// WebP through libwebp: lossy, lossless, alpha over white. libwebp decodes into one block, so the
// picture is scaled inside it on the way, as a JPEG is by its DCT; a lossless file needs all of its
// pixels besides. Animations are refused.
#include <webp/decode.h>

#include <vector>

#include "image/bytes.h"
#include "image/codec.h"
#include "image/exif.h"
#include "image/target.h"
#include "image/vp8l.h"

namespace dermlens::codec {
namespace {

// Calls `use` with each RIFF chunk after the 12 bytes of the file's own header.
template <class Use>
void for_each_chunk(ByteView bytes, const Use& use) {
  std::size_t at = 12;
  while (at + 8 <= bytes.size()) {
    const std::size_t length = little_endian(bytes, at + 4, 4);
    if (length > bytes.size() - at - 8) break;
    use(bytes.subspan(at, 4), bytes.subspan(at + 8, length));
    at += 8 + length + length % 2;
  }
}

// Of the parts that libwebp may take for the picture: the first VP8L chunk, the dearest alpha.
Result<Bytes> find_lossless_bytes(ByteView bytes, const Header& header) {
  Result<Bytes> most = Bytes{0};
  bool found = !header.lossless;
  const auto price = [&](ByteView stream) {
    const auto need = codec::lossless_bytes(stream, header.stored);
    if (!need || (most && *need > *most)) most = need;
  };
  for_each_chunk(bytes, [&](ByteView name, ByteView chunk) {
    if (header.lossless && !found && begins_with(name, "VP8L") && chunk.size() > 5) {
      found = true;
      price(chunk.subspan(5));
    }
    const bool compressed = !chunk.empty() && std::to_integer<int>(chunk[0] & std::byte{3}) == 1;
    if (!header.lossless && begins_with(name, "ALPH") && compressed) price(chunk.subspan(1));
  });
  if (!found)
    return fail(Errc::malformed, "the WebP is cut short (ends after ", bytes.size(), " B)");
  return most;
}

const std::uint8_t* data_of(ByteView bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

tl::unexpected<Error> reason(VP8StatusCode status, ByteView bytes) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return fail(Errc::malformed, "the WebP is cut short (ends after ", bytes.size(), " B)");
    case VP8_STATUS_OUT_OF_MEMORY:
      return fail(Errc::no_memory, "the WebP decoder found no memory");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return fail(Errc::unsupported, "a kind of WebP that we do not read");
    default:
      return fail(Errc::malformed, "the WebP is broken (libwebp status ", int{status}, ")");
  }
}

void blend_over_white(const std::uint8_t* rgba, std::uint8_t* rgb, std::uint32_t width) {
  for (std::uint32_t x = 0; x < width; ++x, rgba += 4, rgb += 3) {
    for (int i = 0; i < 3; ++i) {
      const unsigned sum = unsigned{rgba[i]} * rgba[3] + 255U * (255U - rgba[3]) + 128;
      rgb[i] = static_cast<std::uint8_t>((sum + (sum >> 8)) >> 8);
    }
  }
}

}  // namespace

Result<Header> read_webp_header(ByteView bytes) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(data_of(bytes), bytes.size(), &features);
  if (status != VP8_STATUS_OK) return reason(status, bytes);
  if (features.has_animation != 0)
    return fail(Errc::unsupported, "a kind of WebP that we do not read (an animation)");
  Header header;
  header.format = Format::webp;
  header.stored = {static_cast<std::uint32_t>(features.width),
                   static_cast<std::uint32_t>(features.height)};
  header.alpha = features.has_alpha != 0;
  header.channels = header.alpha ? 4 : 3;
  header.lossless = features.format == 2;
  header.whole_image = true;
  for_each_chunk(bytes, [&](ByteView name, ByteView chunk) {
    if (begins_with(name, "EXIF")) header.orientation = exif_orientation(chunk);
  });
  TRY(header.lossless_bytes, find_lossless_bytes(bytes, header));
  return header;
}

Bytes webp_bytes(const Header& header, unsigned eighths) {
  const Bytes width = header.stored.width;
  const Bytes scaled_width = scaled(header.stored.width, eighths);
  const Bytes output = scaled_width * scaled(header.stored.height, eighths);
  // Structs and tables; the output with a row blended over white.
  Bytes bytes = 96 << 10;
  bytes += output * (header.alpha ? 4 : 3) + 3 * scaled_width;
  if (eighths < 8) bytes += 64 * scaled_width;
  bytes += header.lossless_bytes;
  // Lossy: 2 KB a macroblock across, for coefficients and rows that wait for the loop filter. The
  // plane of alpha is allocated twice over.
  if (!header.lossless) bytes += 136 * (width + 16);
  if (!header.lossless && header.alpha) bytes += 2 * width * header.stored.height;
  return bytes;
}

Result<void> decode_webp(ByteView bytes, const Header& header, unsigned eighths, RowSink& sink,
                         const std::stop_token& stop) {
  const std::uint32_t width = scaled(header.stored.width, eighths);
  const std::uint32_t height = scaled(header.stored.height, eighths);
  const std::size_t stride = std::size_t{header.alpha ? 4U : 3U} * width;
  std::vector<std::uint8_t> pixels(stride * height);
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0)
    return fail(Errc::internal, "libwebp is not the version we were built for");
  VP8StatusCode status = WebPGetFeatures(data_of(bytes), bytes.size(), &config.input);
  if (status != VP8_STATUS_OK) return reason(status, bytes);
  if (static_cast<std::uint32_t>(config.input.width) != header.stored.width ||
      static_cast<std::uint32_t>(config.input.height) != header.stored.height ||
      (config.input.has_alpha != 0) != header.alpha ||
      (config.input.format == 2) != header.lossless)
    return fail(Errc::corrupt, "the WebP changed after its header was read");
  config.options.use_scaling = eighths < 8 ? 1 : 0;
  config.options.scaled_width = static_cast<int>(width);
  config.options.scaled_height = static_cast<int>(height);
  config.output.colorspace = header.alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {pixels.data(), static_cast<int>(stride), pixels.size()};
  status = WebPDecode(data_of(bytes), bytes.size(), &config);
  if (status != VP8_STATUS_OK) return reason(status, bytes);
  std::vector<std::uint8_t> rgb(header.alpha ? std::size_t{3} * width : 0);
  for (std::uint32_t y = 0; y < height; ++y) {
    if (stop.stop_requested()) return fail(Errc::cancelled, "decoding was called off");
    const std::uint8_t* row = pixels.data() + stride * y;
    if (header.alpha) blend_over_white(row, rgb.data(), width);
    sink.row(header.alpha ? rgb.data() : row);
  }
  return {};
}

}  // namespace dermlens::codec
