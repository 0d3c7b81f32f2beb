// A picture in memory: 8-bit RGB, rows top to bottom without gaps, upright.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "image/header.h"
#include "memory/ledger.h"

namespace dermlens {

// Owns its pixels and their place in the ledger. Movable; a moved-from one is empty.
// Distinct pictures may be used by distinct threads.
class Picture {
 public:
  Picture() = default;
  // Black. Fails with no_memory or over_limit.
  static Result<Picture> make(Size size, Ledger& ledger, Category category = Category::decode);

  static Bytes bytes_of(Size size) { return Bytes{3} * size.width * size.height; }

  Size size() const { return size_; }
  std::uint8_t* row(std::uint32_t y) { return pixels_.get() + stride() * y; }
  const std::uint8_t* row(std::uint32_t y) const { return pixels_.get() + stride() * y; }
  std::span<std::uint8_t> pixels() { return {pixels_.get(), stride() * size_.height}; }
  std::span<const std::uint8_t> pixels() const { return {pixels_.get(), stride() * size_.height}; }

 private:
  std::size_t stride() const { return std::size_t{3} * size_.width; }

  Size size_;
  Reservation hold_;  // before the pixels, so that it outlives them
  std::unique_ptr<std::uint8_t[]> pixels_;
};

}  // namespace dermlens
