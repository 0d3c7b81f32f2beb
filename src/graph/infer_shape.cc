// Type rules of operators that only move elements: reshape, transpose, slice, pad, gather, concat.
#include <algorithm>
#include <array>

#include "graph/infer.h"

namespace dermlens::graph::rules {
namespace {

Result<void> expect_one_an_axis(std::size_t numbers, const Shape& shape) {
  if (numbers != shape.size())
    return fail(Errc::malformed, "attribute needs one number an axis (", numbers, ", ",
                to_string(shape), ")");
  return {};
}

Result<void> expect_slice(const Slice& slice, const Shape& shape) {
  for (const Shape* list : {&slice.starts, &slice.steps, &slice.sizes})
    TRY_VOID(expect_one_an_axis(list->size(), shape));
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t start = slice.starts[axis], step = slice.steps[axis];
    const std::int64_t size = slice.sizes[axis];
    std::int64_t way = 0, last = 0;
    const bool overflows = size < 0 || __builtin_mul_overflow(size - 1, step, &way) ||
                           __builtin_add_overflow(start, way, &last);
    const auto inside = [&](std::int64_t index) { return index >= 0 && index < shape[axis]; };
    const bool bounds =
        size == 0 ? start >= -1 && start <= shape[axis] : inside(start) && inside(last);
    const bool fits = !overflows && step != 0 && bounds;
    if (!fits)
      return fail(Errc::malformed, "slice leaves the input (start ", start, ", step ", step,
                  ", size ", size, ", dimension ", shape[axis], ", axis ", axis, ")");
  }
  return {};
}

}  // namespace

Result<TensorType> infer_type(const Transpose& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  const TensorType& x = *inputs[0];
  TRY_VOID(expect_one_an_axis(op.permutation.size(), x.shape));
  std::array<bool, kMaxRank> seen{};
  TensorType result{x.dtype, {}};
  for (const std::size_t axis : op.permutation) {
    if (axis >= x.shape.size() || axis >= kMaxRank || seen[axis])
      return fail(Errc::malformed, "not a permutation of the axes (axis ", axis, ", rank ",
                  x.shape.size(), ")");
    seen[axis] = true;
    result.shape.push_back(x.shape[axis]);
  }
  return result;
}

Result<TensorType> infer_type(const Reshape& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  TRY(const Bytes before, count(inputs[0]->shape));
  TRY(const Bytes after, count(op.shape));
  if (before != after)
    return fail(Errc::malformed, "shapes differ in elements (", to_string(inputs[0]->shape), ", ",
                to_string(op.shape), ")");
  return TensorType{inputs[0]->dtype, op.shape};
}

Result<TensorType> infer_type(const Expand& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  TRY(const Shape shape, broadcast(inputs[0]->shape, op.shape));
  if (shape != op.shape)
    return fail(Errc::malformed, "cannot expand (", to_string(inputs[0]->shape), ", ",
                to_string(op.shape), ")");
  return TensorType{inputs[0]->dtype, op.shape};
}

Result<TensorType> infer_type(const Slice& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  TRY_VOID(expect_slice(op, inputs[0]->shape));
  return TensorType{inputs[0]->dtype, op.sizes};
}

Result<TensorType> infer_type(const SliceBackward& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  TRY_VOID(expect_slice(op.slice, op.input_shape));
  if (inputs[0]->shape != op.slice.sizes)
    return fail(Errc::malformed, "gradient does not have the slice's shape (",
                to_string(inputs[0]->shape), ", ", to_string(op.slice.sizes), ")");
  return TensorType{inputs[0]->dtype, op.input_shape};
}

Result<TensorType> infer_type(const Concat& op, Types inputs) {
  if (inputs.empty()) return fail(Errc::malformed, "nothing to join (0 inputs, at least 1)");
  TRY_VOID(expect_inputs(inputs, inputs.size(), inputs.size()));
  TensorType result = *inputs[0];
  if (op.axis >= result.shape.size())
    return fail(Errc::malformed, "axis out of range (", op.axis, ", ", to_string(result.shape),
                ")");
  for (const TensorType* input : inputs.subspan(1)) {
    TRY_VOID(expect_same_dtype(*inputs[0], *input));
    Shape expected = input->shape;
    if (expected.size() == result.shape.size()) expected[op.axis] = inputs[0]->shape[op.axis];
    if (expected != inputs[0]->shape)
      return fail(Errc::malformed, "inputs do not fit (", to_string(inputs[0]->shape), ", ",
                  to_string(input->shape), ", axis ", op.axis, ")");
    if (__builtin_add_overflow(result.shape[op.axis], input->shape[op.axis],
                               &result.shape[op.axis]))
      return fail(Errc::too_large, "axis overflows (", op.axis, ")");
  }
  return result;
}

Result<TensorType> infer_type(const Pad& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  TensorType result = *inputs[0];
  TRY_VOID(expect_one_an_axis(op.begin.size(), result.shape));
  TRY_VOID(expect_one_an_axis(op.end.size(), result.shape));
  constexpr auto kMost = static_cast<std::int64_t>(kMaxElements);
  for (std::size_t axis = 0; axis < result.shape.size(); ++axis) {
    const std::int64_t size = result.shape[axis], begin = op.begin[axis], end = op.end[axis];
    const bool in_range = begin >= -kMost && begin <= kMost && end >= -kMost && end <= kMost;
    // Reflection mirrors about the outermost element, so it can reach `size` - 1 elements back.
    const bool grows = begin > 0 || end > 0;
    const bool source = op.mode == PadMode::constant || !grows ||
                        (op.mode == PadMode::edge ? size > 0 : begin < size && end < size);
    // A crop on one side past the padding of the other would read beyond the result.
    const bool sane = in_range && begin >= -size && end >= -size && size + begin + end >= 0;
    if (!sane || !source)
      return fail(Errc::malformed, "padding does not fit (", begin, " and ", end, ", dimension ",
                  size, ", axis ", axis, ")");
    result.shape[axis] = size + begin + end;
  }
  return result;
}

Result<TensorType> infer_type(const Gather& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 2));
  const Shape& data = inputs[0]->shape;
  if (inputs[1]->dtype != DType::i64 && inputs[1]->dtype != DType::i32)
    return fail(Errc::malformed, "indices must be integers (", to_string(*inputs[1]), ")");
  if (op.axis >= data.size())
    return fail(Errc::malformed, "axis out of range (", op.axis, ", ", to_string(data), ")");
  const auto axis = data.begin() + static_cast<std::ptrdiff_t>(op.axis);
  Shape shape(data.begin(), axis);
  shape.insert(shape.end(), inputs[1]->shape.begin(), inputs[1]->shape.end());
  shape.insert(shape.end(), axis + 1, data.end());
  return TensorType{inputs[0]->dtype, std::move(shape)};
}

}  // namespace dermlens::graph::rules
