// JPEG through libjpeg-turbo, scaled down by its DCT. A picture in one scan flows through; several
// scans (progressive) need all coefficients at once, and are priced so.
// Missing or broken data is an error here, where libjpeg would warn and paint grey.
#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

// jpeglib.h needs <cstdio> before it, jerror.h needs jpeglib.h.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "image/bytes.h"
#include "image/codec.h"
#include "image/exif.h"
#include "image/target.h"

namespace dermlens::codec {
namespace {

// An encoder never needs more than about a dozen; each makes the decoder walk the whole picture.
constexpr int kMaxScans = 64;
constexpr std::array<JOCTET, 2> kEndOfImage = {0xff, JPEG_EOI};

// One run of the decompressor. Lives outside of the frames that longjmp leaves.
struct Jpeg {
  Jpeg() = default;
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;
  ~Jpeg() { jpeg_destroy_decompress(&info); }

  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape{};
  bool ran_out = false;
  bool cancelled = false;
  bool too_many_scans = false;
  const std::stop_token* stop = nullptr;
  std::array<char, JMSG_LENGTH_MAX> message{};
};

Jpeg& self(j_common_ptr info) { return *static_cast<Jpeg*>(info->client_data); }
Jpeg& self(j_decompress_ptr info) { return *static_cast<Jpeg*>(info->client_data); }

[[noreturn]] void give_up(Jpeg& jpeg) { std::longjmp(jpeg.escape, 1); }

[[noreturn]] void on_error(j_common_ptr info) {
  info->err->format_message(info, self(info).message.data());
  give_up(self(info));
}

// Warnings that mean lost pixels end the decoding; the others (stray bytes, odd versions) do not.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      on_error(info);
    default:
      ++info->err->num_warnings;
  }
}

void on_progress(j_common_ptr info) {
  Jpeg& jpeg = self(info);
  jpeg.cancelled = jpeg.stop != nullptr && jpeg.stop->stop_requested();
  jpeg.too_many_scans = jpeg.info.input_scan_number > kMaxScans;
  if (jpeg.cancelled || jpeg.too_many_scans) give_up(jpeg);
}

// The bytes are over. Many cameras forget the end marker, so one is made up; whether pixels are
// missing shows when the entropy decoder runs into it.
boolean on_empty(j_decompress_ptr info) {
  self(info).ran_out = true;
  info->src->next_input_byte = kEndOfImage.data();
  info->src->bytes_in_buffer = kEndOfImage.size();
  return TRUE;
}

void on_skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  const auto skip = static_cast<std::size_t>(count);
  if (skip > info->src->bytes_in_buffer) {
    self(info).ran_out = true;
    info->src->bytes_in_buffer = 0;
    return;
  }
  info->src->next_input_byte += skip;
  info->src->bytes_in_buffer -= skip;
}

// Everything up to the first scan; false with the reason in `jpeg`.
bool open(Jpeg& jpeg, ByteView bytes) {
  if (setjmp(jpeg.escape) != 0) return false;
  jpeg.info.err = jpeg_std_error(&jpeg.errors);
  jpeg.errors.error_exit = on_error;
  jpeg.errors.emit_message = on_message;
  jpeg.info.client_data = &jpeg;
  jpeg_create_decompress(&jpeg.info);
  jpeg.source.init_source = [](j_decompress_ptr) {};
  jpeg.source.fill_input_buffer = on_empty;
  jpeg.source.skip_input_data = on_skip;
  jpeg.source.resync_to_restart = jpeg_resync_to_restart;
  jpeg.source.term_source = [](j_decompress_ptr) {};
  jpeg.source.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
  jpeg.source.bytes_in_buffer = bytes.size();
  jpeg.info.src = &jpeg.source;
  jpeg.progress.progress_monitor = on_progress;
  jpeg.info.progress = &jpeg.progress;
  jpeg_read_header(&jpeg.info, TRUE);
  return true;
}

tl::unexpected<Error> reason(const Jpeg& jpeg, ByteView bytes) {
  if (jpeg.cancelled) return fail(Errc::cancelled, "decoding was called off");
  if (jpeg.too_many_scans)
    return fail(Errc::malformed, "the JPEG has too many scans (limit ", kMaxScans, ")");
  switch (jpeg.errors.msg_code) {
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_ARITH_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
      return fail(Errc::unsupported, "a kind of JPEG that we do not read (", jpeg.message.data(),
                  ")");
    case JERR_OUT_OF_MEMORY:
      return fail(Errc::no_memory, "the JPEG decoder found no memory (", jpeg.message.data(), ")");
    default:
      break;
  }
  if (jpeg.ran_out)
    return fail(Errc::malformed, "the JPEG is cut short (ends after ", bytes.size(), " B)");
  return fail(Errc::malformed, "the JPEG is broken (", jpeg.message.data(), ")");
}

// The APP1 segments lie before the first scan; libjpeg would copy all of each, we only look.
Orientation find_orientation(ByteView bytes) {
  std::size_t at = 2;
  while (at + 4 <= bytes.size() && big_endian(bytes, at, 1) == 0xff) {
    const std::uint32_t marker = big_endian(bytes, at + 1, 1);
    if (marker == 0xff) {
      ++at;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) break;
    const std::size_t length = big_endian(bytes, at + 2, 2);
    if (length < 2 || at + 2 + length > bytes.size()) break;
    const ByteView segment = bytes.subspan(at + 4, length - 2);
    if (marker == 0xe1 && begins_with(segment, "Exif")) return exif_orientation(segment);
    at += 2 + length;
  }
  return Orientation::upright;
}

Header header_of(const jpeg_decompress_struct& info) {
  Header header;
  header.format = Format::jpeg;
  header.stored = {info.image_width, info.image_height};
  header.channels = info.num_components;
  header.cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  header.whole_image = info.progressive_mode || info.comps_in_scan < info.num_components;
  for (std::size_t i = 0; i < std::min<std::size_t>(4, static_cast<std::size_t>(header.channels));
       ++i) {
    header.sampling[i] = {static_cast<std::uint8_t>(info.comp_info[i].h_samp_factor),
                          static_cast<std::uint8_t>(info.comp_info[i].v_samp_factor)};
  }
  return header;
}

// Adobe stores inks inverted: 255 is no ink. Every program assumes so where nothing is said.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, std::uint32_t width) {
  for (std::uint32_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int i = 0; i < 3; ++i) {
      const unsigned product = unsigned{cmyk[i]} * cmyk[3] + 128;
      rgb[i] = static_cast<std::uint8_t>((product + (product >> 8)) >> 8);
    }
  }
}

// `row` holds 4 bytes a pixel, `rgb` 3. False with the reason in `jpeg`.
bool push_rows(Jpeg& jpeg, const Header& header, unsigned eighths, std::uint8_t* row,
               std::uint8_t* rgb, RowSink& sink) {
  if (setjmp(jpeg.escape) != 0) return false;
  jpeg_decompress_struct& info = jpeg.info;
  info.scale_num = eighths;
  info.scale_denom = 8;
  info.out_color_space = header.cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    on_progress(reinterpret_cast<j_common_ptr>(&info));
    JSAMPROW rows[] = {header.cmyk ? row : rgb};
    jpeg_read_scanlines(&info, rows, 1);
    if (header.cmyk) cmyk_to_rgb(row, rgb, info.output_width);
    sink.row(rgb);
  }
  // Scans may be missing as a whole, which nothing else would tell.
  return !(jpeg.ran_out && header.whole_image);
}

}  // namespace

Result<Header> read_jpeg_header(ByteView bytes) {
  Jpeg jpeg;
  if (!open(jpeg, bytes)) return reason(jpeg, bytes);
  if (jpeg.info.num_components == 2 || jpeg.info.num_components > 4)
    return fail(Errc::unsupported, "a kind of JPEG that we do not read (", jpeg.info.num_components,
                " components)");
  Header header = header_of(jpeg.info);
  header.orientation = find_orientation(bytes);
  return header;
}

Bytes jpeg_bytes(const Header& header, unsigned eighths) {
  // Tables, markers and the pools' slack; measured at 40 KiB.
  Bytes bytes = 96 << 10;
  Bytes most_across = 1;
  Bytes most_down = 1;
  for (const auto& [across, down] : header.sampling) {
    most_across = std::max<Bytes>(most_across, across);
    most_down = std::max<Bytes>(most_down, down);
  }
  const auto round_up = [](Bytes value, Bytes to) { return (value + to - 1) / to * to; };
  const Bytes width = scaled(header.stored.width, eighths);
  for (int i = 0; i < header.channels; ++i) {
    const auto [across, down] = header.sampling[static_cast<std::size_t>(i)];
    const Bytes blocks_across =
        (header.stored.width * Bytes{across} + 8 * most_across - 1) / (8 * most_across);
    const Bytes blocks_down =
        (header.stored.height * Bytes{down} + 8 * most_down - 1) / (8 * most_down);
    // Where a component is sampled coarser, the DCT itself may enlarge it, to 8 at most.
    Bytes size = eighths;
    while (size < 8 && size * 2 <= 8 && size * across * 2 <= eighths * most_across &&
           size * down * 2 <= eighths * most_down)
      size *= 2;
    // jdmainct: row groups with two more for context; jdsample: one group at full width.
    const Bytes group_rows = std::max<Bytes>(1, down * size / eighths);
    bytes += (round_up(blocks_across * size, 64) + 32) * group_rows * (eighths + 2);
    bytes += (round_up(width, 64) + 64) * most_down;
    if (header.whole_image) {
      const Bytes rows = round_up(blocks_down, down);
      bytes += (round_up(blocks_across, across) * 128 + 64) * rows;
    }
  }
  // One row in and one out of ours, one more that merged upsampling keeps.
  return bytes + 4 * width + 3 * width + 3 * (width + 64);
}

Result<void> decode_jpeg(ByteView bytes, const Header& header, unsigned eighths, RowSink& sink,
                         const std::stop_token& stop) {
  const std::size_t width = scaled(header.stored.width, eighths);
  std::vector<std::uint8_t> row(header.cmyk ? width * 4 : 0);
  std::vector<std::uint8_t> rgb(width * 3);
  Jpeg jpeg;
  if (!open(jpeg, bytes)) return reason(jpeg, bytes);
  const Header now = header_of(jpeg.info);
  if (now.stored != header.stored || now.whole_image != header.whole_image ||
      now.sampling != header.sampling || now.cmyk != header.cmyk)
    return fail(Errc::corrupt, "the JPEG changed after its header was read");
  jpeg.stop = &stop;
  if (!push_rows(jpeg, header, eighths, row.data(), rgb.data(), sink)) return reason(jpeg, bytes);
  return {};
}

}  // namespace dermlens::codec
