// Element types and shapes: sizes, names, broadcasting. Every number may come from a hostile model.
#include "graph/type.h"

#include <algorithm>
#include <limits>

namespace dermlens::graph {

std::string_view to_string(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::f64:
      return "f64";
    case DType::i8:
      return "i8";
    case DType::u8:
      return "u8";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::boolean:
      return "boolean";
  }
  return "f32";
}

Bytes size_of(DType type) {
  switch (type) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return 1;
  }
  return 4;
}

bool is_float(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::f64;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const std::int64_t dim : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dim);
  }
  return text + "]";
}

std::string to_string(const TensorType& type) {
  return std::string(to_string(type.dtype)) + to_string(type.shape);
}

Result<Bytes> count(const Shape& shape) {
  if (shape.size() > kMaxRank)
    return fail(Errc::too_large, "too many dimensions (", shape.size(), ", ", kMaxRank, ")");
  // A later 0 makes the product 0, but the other dimensions are still numbers people compute with.
  Bytes elements = 1;
  bool empty = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0)
      return fail(Errc::malformed, "negative dimension (", dim, ", ", to_string(shape), ")");
    if (dim == 0) {
      empty = true;
      continue;
    }
    if (static_cast<Bytes>(dim) > kMaxElements / elements)
      return fail(Errc::too_large, "too many elements (", to_string(shape), ", ", kMaxElements,
                  ")");
    elements *= static_cast<Bytes>(dim);
  }
  return empty ? Bytes{0} : elements;
}

Bytes TensorType::elements() const {
  const Result<Bytes> elements = count(shape);
  CHECK(elements.has_value());
  return *elements;
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  const std::size_t skip = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    std::int64_t& dim = result[skip + i];
    if (dim == shorter[i] || shorter[i] == 1) continue;
    if (dim != 1)
      return fail(Errc::malformed, "shapes do not broadcast (", to_string(a), ", ", to_string(b),
                  ")");
    dim = shorter[i];
  }
  return result;
}

Result<std::size_t> resolve_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank)
    return fail(Errc::malformed, "axis out of range (", axis, ", rank ", rank, ")");
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

}  // namespace dermlens::graph
