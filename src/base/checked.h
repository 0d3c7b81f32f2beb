// Arithmetic on numbers that come from a file or a client: it fails instead of wrapping.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "base/result.h"

namespace dermlens {

using ByteView = std::span<const std::byte>;

Result<Bytes> checked_add(Bytes a, Bytes b);
Result<Bytes> checked_mul(Bytes a, Bytes b);

template <class... Rest>
Result<Bytes> checked_mul(Bytes a, Bytes b, Rest... rest) {
  TRY(const Bytes product, checked_mul(a, b));
  return checked_mul(product, rest...);
}

// Fails with too_large where `value` does not fit into To.
template <std::integral To, std::integral From>
Result<To> checked_cast(From value) {
  if (!std::in_range<To>(value))
    return fail(Errc::too_large, "number out of range (", value, ", ",
                std::numeric_limits<To>::max(), ")");
  return static_cast<To>(value);
}

// The next multiple of `alignment`, a power of two. `value` is one of our own, already bounded.
constexpr Bytes align_up(Bytes value, Bytes alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

// Parses "96M", "2G", "512K", "1048576"; K, M and G are powers of 1024.
Result<Bytes> parse_size(std::string_view text);

// "36.4 MB", with MB = 2^20 bytes, for people; JSON carries bytes.
std::string format_size(Bytes bytes);

}  // namespace dermlens
