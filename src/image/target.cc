// Sizes only: nothing here touches a pixel.
#include "image/target.h"

#include <algorithm>

namespace dermlens {

Size Target::size_for(Size photo) const {
  if (exact_) return size_;
  const std::uint64_t longest = std::max(photo.width, photo.height);
  if (longest <= size_.width) return photo;
  const auto shrink = [&](std::uint64_t side) {
    const std::uint64_t rounded = (side * size_.width + longest / 2) / longest;
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, rounded));
  };
  return {shrink(photo.width), shrink(photo.height)};
}

Size Target::least_for(Size photo) const {
  if (exact_) return {size_.width * 2, size_.height * 2};
  const Size shown = size_for(photo);
  if (shown == photo) return photo;
  return {shown.width - shown.width / 8, shown.height - shown.height / 8};
}

unsigned decode_eighths(const Header& header, std::span<const Target> targets) {
  if (header.format == Format::png) return 8;
  const Size photo = header.upright();
  for (unsigned eighths = 1; eighths < 8; ++eighths) {
    const bool enough = std::all_of(targets.begin(), targets.end(), [&](const Target& target) {
      const Size least = target.least_for(photo);
      return std::uint64_t{photo.width} * eighths >= std::uint64_t{least.width} * 8 &&
             std::uint64_t{photo.height} * eighths >= std::uint64_t{least.height} * 8;
    });
    if (enough) return eighths;
  }
  return 8;
}

}  // namespace dermlens
