// A row at a time: the enlarged grid never exists in full.
#include "image/overlay.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dermlens {
namespace {

// Between which two grid points a pixel lies, and how far from the first.
struct Between {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  float share = 0;
};

Between place(std::uint32_t pixel, std::uint32_t pixels, std::uint32_t points) {
  const double at = (pixel + 0.5) * points / pixels - 0.5;
  const double inside = std::clamp(at, 0.0, points - 1.0);
  const auto low = static_cast<std::uint32_t>(inside);
  return {low, std::min(low + 1, points - 1), static_cast<float>(inside - low)};
}

float bounded(float value) { return value > 0 ? std::min(value, 1.0F) : 0.0F; }

}  // namespace

Result<void> blend_heatmap(Picture& picture, const HeatGrid& grid, Colormap colormap, float alpha) {
  if (grid.width == 0 || grid.height == 0 || grid.values.size() / grid.width != grid.height ||
      grid.values.size() % grid.width != 0)
    return fail(Errc::usage, "a heatmap of ", grid.width, "x", grid.height, " has ",
                grid.values.size(), " values");
  if (!(alpha >= 0 && alpha <= 1))
    return fail(Errc::usage, "alpha is out of range (", alpha, ", 0 to 1)");
  const ColourTable& table = colour_table(colormap);
  const Size size = picture.size();
  std::vector<Between> columns(size.width);
  for (std::uint32_t x = 0; x < size.width; ++x) columns[x] = place(x, size.width, grid.width);
  const auto value = [&](std::uint32_t row, std::uint32_t column) {
    return bounded(grid.values[std::size_t{row} * grid.width + column]);
  };
  for (std::uint32_t y = 0; y < size.height; ++y) {
    const Between row = place(y, size.height, grid.height);
    std::uint8_t* pixel = picture.row(y);
    for (const Between& column : columns) {
      const float top =
          std::lerp(value(row.low, column.low), value(row.low, column.high), column.share);
      const float bottom =
          std::lerp(value(row.high, column.low), value(row.high, column.high), column.share);
      const float heat = std::lerp(top, bottom, row.share);
      const Colour& colour = table[static_cast<std::size_t>(heat * 255.0F + 0.5F)];
      for (std::size_t i = 0; i < 3; ++i, ++pixel)
        *pixel = static_cast<std::uint8_t>((1 - alpha) * *pixel + alpha * colour[i] + 0.5F);
    }
  }
  return {};
}

}  // namespace dermlens
