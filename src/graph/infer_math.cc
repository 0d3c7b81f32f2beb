// Type rules of arithmetic: elementwise functions, matrix products, reductions, quantization.
#include <algorithm>

#include "graph/infer.h"

namespace dermlens::graph::rules {
namespace {

bool is_comparison(BinaryFn fn) {
  return fn == BinaryFn::equal || fn == BinaryFn::less || fn == BinaryFn::less_or_equal ||
         fn == BinaryFn::greater || fn == BinaryFn::greater_or_equal;
}

bool is_logic(BinaryFn fn) {
  return fn == BinaryFn::logical_and || fn == BinaryFn::logical_or || fn == BinaryFn::logical_xor;
}

Result<void> expect_broadcasts_to(const TensorType& operand, const TensorType& result) {
  TRY_VOID(expect_same_dtype(operand, result));
  TRY(const Shape shape, broadcast(operand.shape, result.shape));
  if (shape != result.shape)
    return fail(Errc::malformed, "operand is larger than the result (", to_string(operand.shape),
                ", ", to_string(result.shape), ")");
  return {};
}

Result<void> expect_axis(std::size_t axis, const TensorType& type) {
  if (axis >= type.shape.size())
    return fail(Errc::malformed, "axis out of range (", axis, ", ", to_string(type.shape), ")");
  return {};
}

// Scales and zero points: one number, or one for each index along the axis.
Result<void> expect_per_axis(const TensorType& operand, const TensorType& x, std::size_t axis) {
  TRY(const Bytes numbers, count(operand.shape));
  if (numbers == 1 && operand.shape.size() <= 1) return {};
  TRY_VOID(expect_axis(axis, x));
  if (operand.shape != Shape{x.shape[axis]})
    return fail(Errc::malformed, "scale or zero point does not fit the axis (",
                to_string(operand.shape), ", ", x.shape[axis], ", axis ", axis, ")");
  return {};
}

}  // namespace

Result<void> expect_inputs(Types inputs, std::size_t required, std::size_t total) {
  if (inputs.size() != total)
    return fail(Errc::malformed, "wrong number of inputs (", inputs.size(), ", ", total, ")");
  for (std::size_t i = 0; i < required; ++i)
    if (inputs[i] == nullptr) return fail(Errc::malformed, "input is absent (", i, ")");
  return {};
}

Result<void> expect_float(const TensorType& type) {
  if (!is_float(type.dtype))
    return fail(Errc::malformed, "elements must be of a floating type (", to_string(type), ")");
  return {};
}

Result<void> expect_same_dtype(const TensorType& a, const TensorType& b) {
  if (a.dtype != b.dtype)
    return fail(Errc::malformed, "element types differ (", to_string(a), ", ", to_string(b), ")");
  return {};
}

Result<void> expect_defined(UnaryFn fn, DType dtype) {
  bool defined = is_float(dtype) && fn != UnaryFn::logical_not;
  if (dtype == DType::boolean) {
    defined = fn == UnaryFn::logical_not;
  } else if (!is_float(dtype)) {
    defined = fn == UnaryFn::relu || fn == UnaryFn::clip || fn == UnaryFn::abs ||
              fn == UnaryFn::neg || fn == UnaryFn::sign;
  }
  if (!defined)
    return fail(Errc::malformed, "function is not defined for the type (", to_string(fn), ", ",
                to_string(dtype), ")");
  return {};
}

Result<TensorType> with_post_ops(TensorType result, const PostOps& post_ops, Types operands) {
  std::size_t next = 0;
  for (const PostOp& post_op : post_ops) {
    TRY_VOID(expect_float(result));
    if (post_op.kind == PostOp::Kind::unary) {
      TRY_VOID(expect_defined(post_op.unary.fn, result.dtype));
      continue;
    }
    const TensorType* operand = operands[next++];
    if (operand == nullptr)
      return fail(Errc::malformed, "post-op's operand is absent (", next, ")");
    TRY_VOID(expect_broadcasts_to(*operand, result));
  }
  return result;
}

Result<TensorType> infer_type(const MatMul& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 3 + operand_count(op.post_ops)));
  const TensorType& a = *inputs[0];
  const TensorType& b = *inputs[1];
  TRY_VOID(expect_float(a));
  TRY_VOID(expect_same_dtype(a, b));
  const std::size_t rank_a = a.shape.size(), rank_b = b.shape.size();
  if (rank_a < 2 || rank_b < 2)
    return fail(Errc::malformed, "operands need rank 2 at least (", to_string(a.shape), ", ",
                to_string(b.shape), ")");
  const std::int64_t rows = a.shape[rank_a - (op.transpose_a ? 1 : 2)];
  const std::int64_t depth = a.shape[rank_a - (op.transpose_a ? 2 : 1)];
  const std::int64_t depth_b = b.shape[rank_b - (op.transpose_b ? 1 : 2)];
  const std::int64_t columns = b.shape[rank_b - (op.transpose_b ? 2 : 1)];
  if (depth != depth_b)
    return fail(Errc::malformed, "inner dimensions differ (", depth, ", ", depth_b, ")");
  if (rows < 1 || depth < 1 || columns < 1)
    return fail(Errc::malformed, "operand is empty (", to_string(a.shape), ", ", to_string(b.shape),
                ")");
  TRY(Shape shape, broadcast(Shape(a.shape.begin(), a.shape.end() - 2),
                             Shape(b.shape.begin(), b.shape.end() - 2)));
  shape.push_back(rows);
  shape.push_back(columns);
  TensorType result{a.dtype, std::move(shape)};
  if (inputs[2] != nullptr) TRY_VOID(expect_broadcasts_to(*inputs[2], result));
  return with_post_ops(std::move(result), op.post_ops, inputs.subspan(3));
}

Result<TensorType> infer_type(const Unary& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  TRY_VOID(expect_defined(op.fn, inputs[0]->dtype));
  return *inputs[0];
}

Result<TensorType> infer_type(const UnaryBackward& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 2));
  TRY_VOID(expect_float(*inputs[0]));
  TRY_VOID(expect_defined(op.unary.fn, inputs[0]->dtype));
  if (*inputs[0] != *inputs[1])
    return fail(Errc::malformed, "gradient does not have the input's type (", to_string(*inputs[1]),
                ", ", to_string(*inputs[0]), ")");
  return *inputs[0];
}

Result<TensorType> infer_type(const Binary& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 2 + operand_count(op.post_ops)));
  const TensorType& a = *inputs[0];
  TRY_VOID(expect_same_dtype(a, *inputs[1]));
  const bool boolean = a.dtype == DType::boolean;
  if (is_logic(op.fn) ? !boolean : (boolean && op.fn != BinaryFn::equal))
    return fail(Errc::malformed, "function is not defined for the type (", to_string(op.fn), ", ",
                to_string(a.dtype), ")");
  TRY(Shape shape, broadcast(a.shape, inputs[1]->shape));
  const DType dtype = is_comparison(op.fn) || is_logic(op.fn) ? DType::boolean : a.dtype;
  return with_post_ops({dtype, std::move(shape)}, op.post_ops, inputs.subspan(2));
}

Result<TensorType> infer_type(const Reduce& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  const TensorType& x = *inputs[0];
  if (x.dtype == DType::boolean)
    return fail(Errc::malformed, "booleans cannot be reduced (", to_string(x), ")");
  if (!std::ranges::is_sorted(op.axes) || std::ranges::adjacent_find(op.axes) != op.axes.end())
    return fail(Errc::malformed, "axes must be sorted and distinct (", op.axes.size(), " axes)");
  TensorType result{x.dtype, {}};
  std::size_t next = 0;
  for (std::size_t axis = 0; axis < x.shape.size(); ++axis) {
    const bool reduced = next < op.axes.size() && op.axes[next] == axis;
    if (reduced) ++next;
    if (!reduced) {
      result.shape.push_back(x.shape[axis]);
      continue;
    }
    const bool has_neutral = op.fn == ReduceFn::sum || op.fn == ReduceFn::prod;
    if (x.shape[axis] == 0 && !has_neutral)
      return fail(Errc::malformed, "nothing to reduce (", to_string(x.shape), ", axis ", axis, ")");
    if (op.keep_dims) result.shape.push_back(1);
  }
  if (next < op.axes.size()) TRY_VOID(expect_axis(op.axes[next], x));
  return result;
}

Result<TensorType> infer_type(const Softmax& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  TRY_VOID(expect_float(*inputs[0]));
  TRY_VOID(expect_axis(op.axis, *inputs[0]));
  return *inputs[0];
}

Result<TensorType> infer_type(const Where&, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 3, 3));
  if (inputs[0]->dtype != DType::boolean)
    return fail(Errc::malformed, "condition must be boolean (", to_string(*inputs[0]), ")");
  TRY_VOID(expect_same_dtype(*inputs[1], *inputs[2]));
  TRY(const Shape both, broadcast(inputs[1]->shape, inputs[2]->shape));
  TRY(Shape shape, broadcast(inputs[0]->shape, both));
  return TensorType{inputs[1]->dtype, std::move(shape)};
}

Result<TensorType> infer_type(const Cast& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  return TensorType{op.to, inputs[0]->shape};
}

Result<TensorType> infer_type(const Quantize& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 3));
  TRY_VOID(expect_float(*inputs[0]));
  TRY_VOID(expect_float(*inputs[1]));
  if (op.to != DType::i8 && op.to != DType::u8)
    return fail(Errc::malformed, "can quantize to i8 and u8 only (", to_string(op.to), ")");
  TRY_VOID(expect_per_axis(*inputs[1], *inputs[0], op.axis));
  if (inputs[2] != nullptr) {
    TRY_VOID(expect_same_dtype(*inputs[2], {op.to, {}}));
    TRY_VOID(expect_per_axis(*inputs[2], *inputs[0], op.axis));
  }
  return TensorType{op.to, inputs[0]->shape};
}

Result<TensorType> infer_type(const Dequantize& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 3));
  const TensorType& x = *inputs[0];
  if (x.dtype != DType::i8 && x.dtype != DType::u8 && x.dtype != DType::i32)
    return fail(Errc::malformed, "can dequantize i8, u8 and i32 only (", to_string(x), ")");
  TRY_VOID(expect_float(*inputs[1]));
  TRY_VOID(expect_per_axis(*inputs[1], x, op.axis));
  if (inputs[2] != nullptr) {
    TRY_VOID(expect_same_dtype(*inputs[2], x));
    TRY_VOID(expect_per_axis(*inputs[2], x, op.axis));
  }
  return TensorType{inputs[1]->dtype, x.shape};
}

}  // namespace dermlens::graph::rules
