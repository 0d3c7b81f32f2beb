// After Pillow's libImaging/Resample.c (HPND licence): same windows, same weights, same rounding,
// so that results are identical; the ring of rows in place of a whole intermediate picture is ours.
#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dermlens {
namespace {

// 8 bits of pixel, 2 bits for sums beyond 255 and below 0, the rest for the weight.
constexpr int kPrecision = 32 - 8 - 2;

double support_of(Filter filter) {
  switch (filter) {
    case Filter::bilinear:
      return 1;
    case Filter::bicubic:
      return 2;
    case Filter::lanczos:
      return 3;
  }
  return 3;
}

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double weight(Filter filter, double x) {
  switch (filter) {
    case Filter::bilinear:
      return std::max(0.0, 1 - std::abs(x));
    case Filter::bicubic: {
      constexpr double a = -0.5;
      x = std::abs(x);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
      return 0;
    }
    case Filter::lanczos:
      return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  return 0;
}

std::uint8_t to_pixel(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecision, 0, 255));
}

constexpr std::int32_t kHalf = 1 << (kPrecision - 1);

void add_row(std::int32_t* sums, const std::uint8_t* row, std::int32_t weight, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sums[i] += row[i] * weight;
}

}  // namespace

std::string_view to_string(Filter filter) {
  switch (filter) {
    case Filter::bilinear:
      return "bilinear";
    case Filter::bicubic:
      return "bicubic";
    case Filter::lanczos:
      return "lanczos";
  }
  return "lanczos";
}

std::uint32_t Resizer::Axis::taps() const {
  const double stretch = std::max(1.0, extent / out);
  return static_cast<std::uint32_t>(std::ceil(support_of(filter) * stretch)) * 2 + 1;
}

Resizer::Window Resizer::Axis::window(std::uint32_t index, double* scratch,
                                      std::int32_t* weights) const {
  const double scale = extent / out;
  const double stretch = std::max(1.0, scale);
  const double support = support_of(filter) * stretch;
  const double centre = (index + 0.5) * scale;
  const double low = std::max(0.0, centre - support + 0.5);
  const double high = std::min(static_cast<double>(in), centre + support + 0.5);
  Window window{static_cast<std::uint32_t>(low), 0};
  window.count = static_cast<std::uint32_t>(high) - window.first;
  double total = 0;
  for (std::uint32_t i = 0; i < window.count; ++i) {
    scratch[i] = weight(filter, (i + window.first - centre + 0.5) * (1 / stretch));
    total += scratch[i];
  }
  for (std::uint32_t i = 0; i < window.count; ++i) {
    const double share = (total == 0 ? scratch[i] : scratch[i] / total) * (1 << kPrecision);
    weights[i] = static_cast<std::int32_t>(share < 0 ? share - 0.5 : share + 0.5);
  }
  return window;
}

Resizer::Axis Resizer::horizontal(const Resampling& resampling) {
  return {resampling.in.width, resampling.extent_width, resampling.out.width, resampling.filter};
}

Resizer::Axis Resizer::vertical(const Resampling& resampling) {
  return {resampling.in.height, resampling.extent_height, resampling.out.height, resampling.filter};
}

Bytes Resizer::bytes_of(const Resampling& resampling) {
  const Axis across = horizontal(resampling);
  const Axis down = vertical(resampling);
  const Bytes row = Bytes{3} * across.out;
  Bytes bytes = sizeof(double) * std::max(across.taps(), down.taps()) + 5 * row;
  if (!across.identity())
    bytes += across.out * (sizeof(Window) + sizeof(std::int32_t) * across.taps());
  if (!down.identity()) bytes += down.taps() * (row + sizeof(std::int32_t));
  return bytes;
}

Resizer::Resizer(const Resampling& resampling, RowSink& out)
    : across_(horizontal(resampling)),
      down_(vertical(resampling)),
      out_(out),
      scratch_(std::max(across_.taps(), down_.taps())),
      row_(std::size_t{3} * across_.out) {
  if (!across_.identity()) {
    windows_.resize(across_.out);
    weights_.resize(std::size_t{across_.taps()} * across_.out);
    for (std::uint32_t x = 0; x < across_.out; ++x)
      windows_[x] =
          across_.window(x, scratch_.data(), weights_.data() + std::size_t{across_.taps()} * x);
  }
  if (!down_.identity()) {
    ring_.resize(row_.size() * down_.taps());
    next_weights_.resize(down_.taps());
    sums_.resize(row_.size());
    next_ = down_.window(0, scratch_.data(), next_weights_.data());
  }
}

void Resizer::row(const std::uint8_t* rgb) {
  const std::uint32_t y = rows_in_++;
  if (down_.identity()) {
    if (across_.identity()) return out_.row(rgb);
    squeeze(rgb, row_.data());
    return out_.row(row_.data());
  }
  if (rows_out_ == down_.out || y < next_.first) return;
  std::uint8_t* slot = ring_.data() + row_.size() * (y % down_.taps());
  if (across_.identity()) {
    std::copy_n(rgb, row_.size(), slot);
  } else {
    squeeze(rgb, slot);
  }
  emit_ready_rows();
}

void Resizer::squeeze(const std::uint8_t* rgb, std::uint8_t* out) const {
  const std::size_t taps = across_.taps();
  for (std::size_t x = 0; x < windows_.size(); ++x) {
    const std::uint8_t* pixel = rgb + std::size_t{3} * windows_[x].first;
    const std::int32_t* weights = weights_.data() + taps * x;
    std::int32_t red = kHalf;
    std::int32_t green = kHalf;
    std::int32_t blue = kHalf;
    for (std::uint32_t i = 0; i < windows_[x].count; ++i, pixel += 3) {
      red += pixel[0] * weights[i];
      green += pixel[1] * weights[i];
      blue += pixel[2] * weights[i];
    }
    out[3 * x] = to_pixel(red);
    out[3 * x + 1] = to_pixel(green);
    out[3 * x + 2] = to_pixel(blue);
  }
}

void Resizer::emit_ready_rows() {
  while (rows_out_ < down_.out && next_.first + next_.count <= rows_in_) {
    std::fill(sums_.begin(), sums_.end(), kHalf);
    for (std::uint32_t i = 0; i < next_.count; ++i) {
      const std::uint32_t slot = (next_.first + i) % down_.taps();
      add_row(sums_.data(), ring_.data() + row_.size() * slot, next_weights_[i], row_.size());
    }
    std::transform(sums_.begin(), sums_.end(), row_.begin(), to_pixel);
    out_.row(row_.data());
    if (++rows_out_ < down_.out)
      next_ = down_.window(rows_out_, scratch_.data(), next_weights_.data());
  }
}

Result<Picture> resize(const Picture& picture, Size size, Filter filter, Ledger& ledger) {
  struct Copy final : RowSink {
    Picture made;
    std::uint32_t y = 0;
    void row(const std::uint8_t* rgb) override {
      std::copy_n(rgb, std::size_t{3} * made.size().width, made.row(y++));
    }
  } copy;
  TRY(copy.made, Picture::make(size, ledger));
  const Resampling resampling = Resampling::whole(picture.size(), size, filter);
  TRY(const Reservation hold, ledger.reserve(Category::decode, Resizer::bytes_of(resampling)));
  Resizer resizer(resampling, copy);
  for (std::uint32_t y = 0; y < picture.size().height; ++y) resizer.row(picture.row(y));
  return std::move(copy.made);
}

}  // namespace dermlens
