// Reading numbers out of a stranger's bytes, and owning bytes that the ledger knows of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/checked.h"
#include "memory/ledger.h"

namespace dermlens {

// `length` is at most 4; bytes past the end read as zero.
std::uint32_t big_endian(ByteView bytes, std::size_t offset, std::size_t length);
std::uint32_t little_endian(ByteView bytes, std::size_t offset, std::size_t length);
bool begins_with(ByteView bytes, std::string_view text);

// Bytes that grow at their end, each asked for in the ledger before it is allocated; given back
// with the object. Movable. One thread at a time.
class GrowingBytes {
 public:
  static Result<GrowingBytes> make(Ledger& ledger, Category category, Bytes capacity);

  // Fails with no_memory or over_limit; the bytes so far stay. May move them.
  Result<void> append(const void* data, std::size_t size);

  std::span<const std::uint8_t> bytes() const { return {data_.get(), size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }

  // Gives back what is allocated beyond the end.
  void shrink();

 private:
  struct Free {
    void operator()(std::uint8_t* data) const;
  };

  Result<void> move_to(Bytes capacity);

  Reservation hold_;
  std::unique_ptr<std::uint8_t, Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace dermlens
