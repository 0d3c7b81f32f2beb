// A heatmap over a picture: the grid enlarged as cv2.resize(INTER_LINEAR) enlarges it (half-pixel
// centres, edges repeated), coloured, and blended in place.
#pragma once

#include <cstdint>
#include <span>

#include "image/colormap.h"
#include "image/picture.h"

namespace dermlens {

// Row-major, height x width; values outside of 0..1 (and NaN) count as the nearer end (0).
struct HeatGrid {
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  std::span<const float> values;
};

// picture = (1 - alpha) * picture + alpha * colour(grid). Allocates one row.
// Fails with usage where the grid is empty, its values are not height x width, or alpha is not in
// 0..1.
Result<void> blend_heatmap(Picture& picture, const HeatGrid& grid, Colormap colormap, float alpha);

}  // namespace dermlens
