// What to make of a photo: its pixels in a model's size, or a picture to show.
#pragma once

#include <cstdint>
#include <span>

#include "image/header.h"
#include "image/resize.h"

namespace dermlens {

class Target {
 public:
  // Exactly this size, aspect not kept: what a model asks for.
  static Target exact(Size size, Filter filter = Filter::lanczos) { return {size, filter, true}; }
  // The photo's own aspect, the longer side at most `longest`, never enlarged.
  static Target fit(std::uint32_t longest, Filter filter = Filter::bilinear) {
    return {{longest, longest}, filter, false};
  }

  Filter filter() const { return filter_; }
  // The size it takes for an upright photo of this size.
  Size size_for(Size photo) const;
  // The least size that a codec may shrink the photo to on the way: twice the model's, so that the
  // resize that follows decides the quality; 7/8 of a size to show, since enlarging by so little
  // cannot be seen, and decoding at 2/8 instead of 3/8 takes half the time.
  Size least_for(Size photo) const;

 private:
  Target(Size size, Filter filter, bool exact) : size_(size), filter_(filter), exact_(exact) {}

  Size size_;
  Filter filter_;
  bool exact_;
};

// How many eighths of its size a JPEG or WebP is to be decoded at (1 to 8): the fewest that keep
// every target's least size.
unsigned decode_eighths(const Header& header, std::span<const Target> targets);

// `length` x `eighths` / 8, rounded up as codecs do.
constexpr std::uint32_t scaled(std::uint32_t length, unsigned eighths) {
  return static_cast<std::uint32_t>((std::uint64_t{length} * eighths + 7) / 8);
}

}  // namespace dermlens
