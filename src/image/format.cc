// Magic numbers: ours, and those of formats that people send by mistake.
#include "image/format.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace dermlens {
namespace {

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  std::string_view name;
};

using std::string_view_literals::operator""sv;

constexpr std::array kForeign = {
    Magic{0, "GIF8"sv, "GIF"},         Magic{0, "BM"sv, "BMP"},
    Magic{0, "II*\0"sv, "TIFF"},       Magic{0, "MM\0*"sv, "TIFF"},
    Magic{4, "ftypheic"sv, "HEIC"},    Magic{4, "ftypheix"sv, "HEIC"},
    Magic{4, "ftypmif1"sv, "HEIC"},    Magic{4, "ftypavif"sv, "AVIF"},
    Magic{0, "%PDF"sv, "PDF"},         Magic{0, "\0\0\0\fjP  "sv, "JPEG 2000"},
    Magic{0, "\xff\x0a"sv, "JPEG XL"}, Magic{4, "JXL "sv, "JPEG XL"},
    Magic{128, "DICM"sv, "DICOM"},     Magic{0, "<svg"sv, "SVG"},
};

bool holds(ByteView bytes, std::size_t offset, std::string_view magic) {
  if (bytes.size() < offset + magic.size()) return false;
  return std::equal(magic.begin(), magic.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                    [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
}

}  // namespace

std::string_view to_string(Format format) {
  switch (format) {
    case Format::jpeg:
      return "JPEG";
    case Format::png:
      return "PNG";
    case Format::webp:
      return "WebP";
  }
  return "JPEG";
}

Result<Format> sniff_format(ByteView bytes) {
  if (bytes.empty()) return fail(Errc::malformed, "the image is empty (0 B)");
  if (holds(bytes, 0, "\xff\xd8\xff"sv)) return Format::jpeg;
  if (holds(bytes, 0, "\x89PNG\r\n\x1a\n"sv)) return Format::png;
  if (holds(bytes, 0, "RIFF"sv) && holds(bytes, 8, "WEBP"sv)) return Format::webp;
  for (const Magic& magic : kForeign) {
    if (holds(bytes, magic.offset, magic.bytes))
      return fail(Errc::unsupported, "not an image we read (", magic.name,
                  "; we read JPEG, PNG and WebP)");
  }
  return fail(Errc::unsupported, "not an image we read (", bytes.size(),
              " B of an unknown format; we read JPEG, PNG and WebP)");
}

}  // namespace dermlens
