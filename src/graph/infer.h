// Inside of graph: one rule a operator that gives the type of its result, or refuses operands that
// break the operator's contract. Every number may come from a hostile model, so every rule checks
// every rank, axis, dimension and attribute before it computes with it.
#pragma once

#include <span>

#include "graph/op.h"

namespace dermlens::graph::rules {

using Types = std::span<const TensorType* const>;

Result<TensorType> infer_type(const Conv& op, Types inputs);
Result<TensorType> infer_type(const ConvBackwardData& op, Types inputs);
Result<TensorType> infer_type(const MatMul& op, Types inputs);
Result<TensorType> infer_type(const Unary& op, Types inputs);
Result<TensorType> infer_type(const UnaryBackward& op, Types inputs);
Result<TensorType> infer_type(const Binary& op, Types inputs);
Result<TensorType> infer_type(const Reduce& op, Types inputs);
Result<TensorType> infer_type(const Pool& op, Types inputs);
Result<TensorType> infer_type(const PoolBackward& op, Types inputs);
Result<TensorType> infer_type(const Softmax& op, Types inputs);
Result<TensorType> infer_type(const Transpose& op, Types inputs);
Result<TensorType> infer_type(const Reshape& op, Types inputs);
Result<TensorType> infer_type(const Expand& op, Types inputs);
Result<TensorType> infer_type(const Slice& op, Types inputs);
Result<TensorType> infer_type(const SliceBackward& op, Types inputs);
Result<TensorType> infer_type(const Concat& op, Types inputs);
Result<TensorType> infer_type(const Pad& op, Types inputs);
Result<TensorType> infer_type(const Gather& op, Types inputs);
Result<TensorType> infer_type(const Where& op, Types inputs);
Result<TensorType> infer_type(const Cast& op, Types inputs);
Result<TensorType> infer_type(const Quantize& op, Types inputs);
Result<TensorType> infer_type(const Dequantize& op, Types inputs);

// Just `total` inputs, the first `required` of them present.
Result<void> expect_inputs(Types inputs, std::size_t required, std::size_t total);
Result<void> expect_float(const TensorType& type);
Result<void> expect_same_dtype(const TensorType& a, const TensorType& b);
// Whether `fn` has a meaning for elements of `dtype`.
Result<void> expect_defined(UnaryFn fn, DType dtype);

// Checks the post-ops against the result they are applied to; `operands` are the inputs of the
// binary ones. Gives `result` back.
Result<TensorType> with_post_ops(TensorType result, const PostOps& post_ops, Types operands);

}  // namespace dermlens::graph::rules
