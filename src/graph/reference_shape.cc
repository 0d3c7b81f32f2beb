// Reference definitions of operators that only move elements.
#include <algorithm>
#include <cmath>

#include "graph/reference_ops.h"

namespace dermlens::graph::reference {
namespace {

Shape row_major(const Shape& shape) { return broadcast_strides(shape, shape); }

// Runs `move` on whichever vectors the two tensors fill.
template <class Move>
void move_elements(const Tensor& from, Tensor& to, const Move& move) {
  if (is_float(from.type.dtype)) {
    move(from.reals, to.reals);
  } else {
    move(from.integers, to.integers);
  }
}

// y[i] = x[offset of strides at i], walking over y.
Tensor pick(const Tensor& x, const TensorType& type, const Shape& strides, std::int64_t start) {
  Tensor y = zeros(type);
  Walk<1> walk(type.shape, {strides});
  walk.start_at(0, start);
  move_elements(x, y, [&](const auto& from, auto& to) {
    for (auto& element : to) {
      element = from[walk.offset(0)];
      walk.next();
    }
  });
  return y;
}

// Where a slice of a tensor of `shape` starts, and its steps, both as offsets.
struct Steps {
  Shape strides;
  std::int64_t start = 0;
  Steps(const Slice& slice, const Shape& shape) : strides(row_major(shape)) {
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      start += slice.starts[axis] * strides[axis];
      // A step that is never taken may be any number.
      strides[axis] *= slice.sizes[axis] > 1 ? slice.steps[axis] : 0;
    }
  }
};

// The source of place `at` along an axis of `size` elements; -1 where it is padding.
std::int64_t padded_source(PadMode mode, std::int64_t at, std::int64_t size) {
  if (at >= 0 && at < size) return at;
  if (mode == PadMode::constant) return -1;
  if (mode == PadMode::edge) return std::clamp<std::int64_t>(at, 0, size - 1);
  return at < 0 ? -at : 2 * (size - 1) - at;
}

std::size_t product(const Shape& shape, std::size_t first, std::size_t last) {
  std::size_t elements = 1;
  for (std::size_t axis = first; axis < last; ++axis)
    elements *= static_cast<std::size_t>(shape[axis]);
  return elements;
}

}  // namespace

Result<Tensor> compute(const Transpose& op, Operands in, const TensorType& type) {
  const Shape strides = row_major(in[0]->type.shape);
  Shape permuted;
  for (const std::size_t axis : op.permutation) permuted.push_back(strides[axis]);
  return pick(*in[0], type, permuted, 0);
}

Result<Tensor> compute(const Reshape&, Operands in, const TensorType& type) {
  return Tensor{type, in[0]->reals, in[0]->integers};
}

Result<Tensor> compute(const Expand&, Operands in, const TensorType& type) {
  return pick(*in[0], type, broadcast_strides(in[0]->type.shape, type.shape), 0);
}

Result<Tensor> compute(const Slice& op, Operands in, const TensorType& type) {
  const Steps steps(op, in[0]->type.shape);
  return pick(*in[0], type, steps.strides, steps.start);
}

Result<Tensor> compute(const SliceBackward& op, Operands in, const TensorType& type) {
  Tensor dx = zeros(type);
  const Steps steps(op.slice, type.shape);
  Walk<1> walk(op.slice.sizes, {steps.strides});
  walk.start_at(0, steps.start);
  move_elements(*in[0], dx, [&](const auto& from, auto& to) {
    for (const auto& element : from) {
      to[walk.offset(0)] += element;
      walk.next();
    }
  });
  return dx;
}

Result<Tensor> compute(const Concat& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const std::size_t rank = type.shape.size(), outer = product(type.shape, 0, op.axis);
  const std::size_t row = product(type.shape, op.axis, rank);
  std::size_t column = 0;
  for (const Tensor* input : in) {
    const std::size_t part = product(input->type.shape, op.axis, rank);
    move_elements(*input, y, [&](const auto& from, auto& to) {
      for (std::size_t i = 0; i < outer; ++i)
        std::copy_n(from.data() + i * part, part, to.data() + i * row + column);
    });
    column += part;
  }
  return y;
}

Result<Tensor> compute(const Pad& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const Shape& shape = in[0]->type.shape;
  const Shape strides = row_major(shape);
  Shape place(shape.size(), 0);
  move_elements(*in[0], y, [&](const auto& from, auto& to) {
    using Element = typename std::decay_t<decltype(to)>::value_type;
    Element fill{};
    if constexpr (std::is_same_v<Element, double>) {
      fill = op.value;
    } else {
      fill = narrow(truncate(op.value), type.dtype);
    }
    for (Element& element : to) {
      std::int64_t offset = 0;
      bool padding = false;
      for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        const std::int64_t at = padded_source(op.mode, place[axis] - op.begin[axis], shape[axis]);
        padding = padding || at < 0;
        offset += at * strides[axis];
      }
      element = padding ? fill : from[static_cast<std::size_t>(offset)];
      for (std::size_t axis = shape.size(); axis-- > 0;) {
        if (++place[axis] < type.shape[axis]) break;
        place[axis] = 0;
      }
    }
  });
  return y;
}

Result<Tensor> compute(const Gather& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const Shape& shape = in[0]->type.shape;
  const std::size_t outer = product(shape, 0, op.axis);
  const std::size_t inner = product(shape, op.axis + 1, shape.size());
  const std::int64_t length = shape[op.axis];
  std::vector<std::size_t> rows;
  for (const std::int64_t index : in[1]->integers) {
    if (index < -length || index >= length)
      return fail(Errc::malformed, "Gather: index out of range (", index, ", ", length, ")");
    rows.push_back(static_cast<std::size_t>(index < 0 ? index + length : index));
  }
  move_elements(*in[0], y, [&](const auto& from, auto& to) {
    auto next = to.begin();
    for (std::size_t i = 0; i < outer; ++i)
      for (const std::size_t row : rows)
        next = std::copy_n(from.data() + (i * static_cast<std::size_t>(length) + row) * inner,
                           inner, next);
  });
  return y;
}

}  // namespace dermlens::graph::reference
