// realloc rather than a vector: blocks of this size are mappings, which the kernel moves without
// copying, so old and new never both hold pages.
#include "image/bytes.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace dermlens {

std::uint32_t big_endian(ByteView bytes, std::size_t offset, std::size_t length) {
  std::uint32_t value = 0;
  for (std::size_t i = offset; i < offset + length; ++i)
    value = value << 8 | (i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i]) : 0);
  return value;
}

std::uint32_t little_endian(ByteView bytes, std::size_t offset, std::size_t length) {
  std::uint32_t value = 0;
  for (std::size_t i = offset + length; i-- > offset;)
    value = value << 8 | (i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i]) : 0);
  return value;
}

bool begins_with(ByteView bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

void GrowingBytes::Free::operator()(std::uint8_t* data) const { std::free(data); }

Result<GrowingBytes> GrowingBytes::make(Ledger& ledger, Category category, Bytes capacity) {
  GrowingBytes made;
  TRY(made.hold_, ledger.reserve(category, 0));
  TRY_VOID(made.move_to(std::max<Bytes>(capacity, 1)));
  return made;
}

Result<void> GrowingBytes::append(const void* data, std::size_t size) {
  if (size > capacity_ - size_) {
    TRY(const Bytes need, checked_add(size_, size));
    TRY_VOID(move_to(std::max<Bytes>(need, capacity_ + capacity_ / 2)));
  }
  if (size > 0) std::memcpy(data_.get() + size_, data, size);
  size_ += size;
  return {};
}

void GrowingBytes::shrink() {
  // Failing to shrink leaves more than is needed, which is still reserved.
  static_cast<void>(move_to(std::max<Bytes>(size_, 1)));
}

Result<void> GrowingBytes::move_to(Bytes capacity) {
  // Where it grows, the allocator may hold both for a moment.
  if (capacity > capacity_) TRY_VOID(hold_.resize(capacity_ + capacity));
  void* moved = std::realloc(data_.get(), capacity);
  if (moved == nullptr) {
    TRY_VOID(hold_.resize(capacity_));
    return fail(Errc::no_memory, "the system has no memory left (", capacity, " B asked for)");
  }
  static_cast<void>(data_.release());
  data_.reset(static_cast<std::uint8_t*>(moved));
  capacity_ = capacity;
  return hold_.resize(capacity_);
}

}  // namespace dermlens
