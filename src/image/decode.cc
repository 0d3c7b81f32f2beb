// One codec feeds every target's resizer; the last sink writes each pixel to where the orientation
// puts it, so turning a picture costs no memory and no pass of its own.
#include "image/decode.h"

#include <cstddef>
#include <deque>
#include <utility>

#include "image/codec.h"

namespace dermlens {
namespace {

// Writes rows of the stored picture into an upright one.
class UprightWriter final : public RowSink {
 public:
  UprightWriter(Picture& picture, Orientation orientation)
      : at_(picture.row(0)), width_(turned(picture.size(), orientation).width) {
    using enum Orientation;
    const auto is_one_of = [&](auto... cases) { return ((orientation == cases) || ...); };
    const bool from_right = is_one_of(mirrored, upside_down, turn_right, transversed);
    const bool from_bottom = is_one_of(upside_down, mirrored_upside_down, transversed, turn_left);
    const std::ptrdiff_t stride = std::ptrdiff_t{3} * picture.size().width;
    if (from_right) at_ += stride - 3;
    if (from_bottom) at_ += stride * (std::ptrdiff_t{picture.size().height} - 1);
    across_ = from_right ? -3 : 3;
    along_ = from_bottom ? -stride : stride;
    if (swaps_sides(orientation)) std::swap(across_, along_);
  }

  void row(const std::uint8_t* rgb) override {
    std::uint8_t* pixel = at_ + along_ * rows_++;
    for (std::uint32_t x = 0; x < width_; ++x, rgb += 3, pixel += across_) {
      pixel[0] = rgb[0];
      pixel[1] = rgb[1];
      pixel[2] = rgb[2];
    }
  }

 private:
  std::uint8_t* at_;           // where the stored picture's first pixel goes
  std::uint32_t width_;        // of the stored picture
  std::ptrdiff_t across_ = 0;  // from a stored pixel to the next in its row
  std::ptrdiff_t along_ = 0;   // from a stored row to the next
  std::ptrdiff_t rows_ = 0;
};

// Hands every row to several resizers.
class Fan final : public RowSink {
 public:
  std::deque<UprightWriter> writers;
  std::deque<Resizer> resizers;
  void row(const std::uint8_t* rgb) override {
    for (Resizer& resizer : resizers) resizer.row(rgb);
  }
};

Resampling resampling_for(const Header& header, unsigned eighths, const Target& target) {
  Resampling resampling;
  resampling.in = {scaled(header.stored.width, eighths), scaled(header.stored.height, eighths)};
  resampling.extent_width = header.stored.width * (eighths / 8.0);
  resampling.extent_height = header.stored.height * (eighths / 8.0);
  resampling.out = turned(target.size_for(header.upright()), header.orientation);
  resampling.filter = target.filter();
  return resampling;
}

Bytes codec_bytes(const Header& header, unsigned eighths) {
  switch (header.format) {
    case Format::jpeg:
      return codec::jpeg_bytes(header, eighths);
    case Format::png:
      return codec::png_bytes(header);
    case Format::webp:
      return codec::webp_bytes(header, eighths);
  }
  return 0;
}

Result<void> run_codec(ByteView bytes, const Header& header, unsigned eighths, RowSink& sink,
                       const std::stop_token& stop) {
  switch (header.format) {
    case Format::jpeg:
      return codec::decode_jpeg(bytes, header, eighths, sink, stop);
    case Format::png:
      return codec::decode_png(bytes, header, sink, stop);
    case Format::webp:
      return codec::decode_webp(bytes, header, eighths, sink, stop);
  }
  return {};
}

// Far above any model's input; keeps the sums in decode_cost from wrapping.
constexpr std::uint32_t kMaxTargetSide = 1 << 16;

}  // namespace

Result<DecodeCost> decode_cost(const Header& header, std::span<const Target> targets) {
  const unsigned eighths = decode_eighths(header, targets);
  DecodeCost cost;
  cost.working = codec_bytes(header, eighths);
  for (const Target& target : targets) {
    const Resampling resampling = resampling_for(header, eighths, target);
    if (resampling.out.width == 0 || resampling.out.height == 0 ||
        resampling.out.width > kMaxTargetSide || resampling.out.height > kMaxTargetSide)
      return fail(Errc::usage, "cannot make a picture of this size (", to_string(resampling.out),
                  ", limit ", kMaxTargetSide, " a side)");
    cost.working += Resizer::bytes_of(resampling);
    cost.pictures += Picture::bytes_of(resampling.out);
  }
  return cost;
}

Result<std::vector<Picture>> decode(ByteView bytes, const Header& header,
                                    std::span<const Target> targets, Ledger& ledger,
                                    const std::stop_token& stop) {
  TRY(const DecodeCost cost, decode_cost(header, targets));
  TRY(const Reservation working, ledger.reserve(Category::decode, cost.working));
  const unsigned eighths = decode_eighths(header, targets);
  std::vector<Picture> pictures;
  pictures.reserve(targets.size());
  Fan fan;
  for (const Target& target : targets) {
    TRY(Picture picture, Picture::make(target.size_for(header.upright()), ledger));
    pictures.push_back(std::move(picture));
    fan.writers.emplace_back(pictures.back(), header.orientation);
    fan.resizers.emplace_back(resampling_for(header, eighths, target), fan.writers.back());
  }
  TRY_VOID(run_codec(bytes, header, eighths, fan, stop));
  return pictures;
}

}  // namespace dermlens
