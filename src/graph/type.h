// Element types and shapes. Every shape in a graph is static: dynamic dimensions are bound before
// a graph exists.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "base/result.h"

namespace dermlens::graph {

enum class DType : std::uint8_t { f32, f16, bf16, f64, i8, u8, i32, i64, boolean };

std::string_view to_string(DType type);
Bytes size_of(DType type);
bool is_float(DType type);

using Shape = std::vector<std::int64_t>;

inline constexpr std::size_t kMaxRank = 8;
inline constexpr Bytes kMaxElements = Bytes{1} << 32;

// "[1, 3, 300, 300]"
std::string to_string(const Shape& shape);

// The product of the dimensions. Fails with malformed on a negative one and with too_large past
// kMaxElements or kMaxRank.
Result<Bytes> count(const Shape& shape);

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;

  // Elements; the shape was checked when the value was made.
  Bytes elements() const;
  Bytes bytes() const { return elements() * size_of(dtype); }
  bool operator==(const TensorType&) const = default;
};

// "f32[1, 3, 300, 300]"
std::string to_string(const TensorType& type);

// numpy's broadcasting of two shapes. Fails with malformed where a dimension differs and neither
// is 1.
Result<Shape> broadcast(const Shape& a, const Shape& b);

// `axis` counted from the end when negative. Fails with malformed outside [-rank, rank).
Result<std::size_t> resolve_axis(std::int64_t axis, std::size_t rank);

}  // namespace dermlens::graph
