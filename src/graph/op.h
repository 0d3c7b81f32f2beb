// The operator set. One set serves forward and backward: `grad` emits the same operators that
// `onnx` reads. Each operator is a struct of its attributes, already normalised (no auto_pad, no
// negative axes, no optional forms), and yields exactly one value; `infer` gives its type.
//
// Shapes in the comments: N batch, C channels, G groups, *S spatial dimensions (1 to 3).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/type.h"

namespace dermlens::graph {

// Elementwise functions of one argument, with ONNX's definitions and two parameters.
enum class UnaryFn : std::uint8_t {
  relu,
  clip,  // min(max(x, alpha), beta)
  sigmoid,
  tanh,
  silu,          // x * sigmoid(x)
  hard_sigmoid,  // clip(alpha * x + beta, 0, 1)
  hard_swish,    // x * clip(x / 6 + 0.5, 0, 1)
  gelu_erf,
  gelu_tanh,
  erf,
  exp,
  log,
  sqrt,
  reciprocal,
  abs,
  neg,
  elu,         // x > 0 ? x : alpha * (exp(x) - 1)
  leaky_relu,  // x > 0 ? x : alpha * x
  softplus,
  linear,  // alpha * x + beta
  power,   // x ^ alpha
  floor,
  ceil,
  round,  // half to even
  sign,
  logical_not,
};
std::string_view to_string(UnaryFn fn);

enum class BinaryFn : std::uint8_t {
  add,
  sub,
  mul,
  div,
  pow,
  max,
  min,
  mod,
  equal,
  less,
  less_or_equal,
  greater,
  greater_or_equal,
  logical_and,
  logical_or,
  logical_xor,
};
std::string_view to_string(BinaryFn fn);

enum class ReduceFn : std::uint8_t { sum, mean, max, min, prod };
std::string_view to_string(ReduceFn fn);

// y = fn(x); x of any shape.
struct Unary {
  UnaryFn fn = UnaryFn::relu;
  float alpha = 0;
  float beta = 0;
  bool operator==(const Unary&) const = default;
};

// What a compute operator does to its result before it is stored, in order. binary_* take one more
// input of the node each, in the order of the list, broadcast against the result.
struct PostOp {
  enum class Kind : std::uint8_t { unary, binary_add, binary_mul };
  Kind kind = Kind::unary;
  Unary unary;  // for Kind::unary
  bool operator==(const PostOp&) const = default;
};
using PostOps = std::vector<PostOp>;

struct ConvGeometry {
  Shape strides, dilations, pads_begin, pads_end;  // one number a spatial dimension
  std::int64_t groups = 1;
  bool operator==(const ConvGeometry&) const = default;
};

// x [N, C, *S], w [M, C/G, *K], optional b [M] -> [N, M, *S'].
// Node inputs: x, w, b (kNoValue if absent), then one for each binary post-op.
struct Conv {
  ConvGeometry geometry;
  PostOps post_ops;
  bool operator==(const Conv&) const = default;
};

// The gradient of Conv with respect to x. dy [N, M, *S'], w [M, C/G, *K] -> input_shape.
struct ConvBackwardData {
  ConvGeometry geometry;
  Shape input_shape;
  bool operator==(const ConvBackwardData&) const = default;
};

// a [..., I, K], b [..., K, J], batch dimensions broadcast; transpose_* swap the last two first.
// Rank 1 is not allowed here. Node inputs: a, b, bias (kNoValue or broadcastable to the result),
// then one for each binary post-op.
struct MatMul {
  bool transpose_a = false;
  bool transpose_b = false;
  PostOps post_ops;
  bool operator==(const MatMul&) const = default;
};

// a, b broadcast; comparisons and logic give boolean. Node inputs: a, b, then one for each binary
// post-op.
struct Binary {
  BinaryFn fn = BinaryFn::add;
  PostOps post_ops;
  bool operator==(const Binary&) const = default;
};

// d/dx of Unary: x, dy (same shape) -> dx. At a kink the derivative is PyTorch's choice (0 for
// relu at 0; 1 for clip at its bounds).
struct UnaryBackward {
  Unary unary;
  bool operator==(const UnaryBackward&) const = default;
};

struct Reduce {
  ReduceFn fn = ReduceFn::mean;
  std::vector<std::size_t> axes;  // sorted, distinct
  bool keep_dims = true;
  bool operator==(const Reduce&) const = default;
};

enum class PoolKind : std::uint8_t { max, average_include_pad, average_exclude_pad };

// x [N, C, *S] -> [N, C, *S']. ceil_mode is resolved into output_shape and pads_end by whoever
// builds the node; pads_end may then exceed what PyTorch calls padding.
struct PoolGeometry {
  PoolKind kind = PoolKind::max;
  Shape kernel, strides, dilations, pads_begin, pads_end;
  bool operator==(const PoolGeometry&) const = default;
};
struct Pool {
  PoolGeometry geometry;
  bool operator==(const Pool&) const = default;
};

// dy, x -> dx (x's shape). For max, the first of equal maxima takes the gradient; for average, x is
// read for its shape only.
struct PoolBackward {
  PoolGeometry geometry;
  bool operator==(const PoolBackward&) const = default;
};

struct Softmax {
  std::size_t axis = 0;
  bool log = false;
  bool operator==(const Softmax&) const = default;
};

struct Transpose {
  std::vector<std::size_t> permutation;  // output axis i is input axis permutation[i]
  bool operator==(const Transpose&) const = default;
};

// Same elements, row-major order, another shape.
struct Reshape {
  Shape shape;
  bool operator==(const Reshape&) const = default;
};

// Broadcast to `shape`.
struct Expand {
  Shape shape;
  bool operator==(const Expand&) const = default;
};

// One number an axis: starts within the shape, steps non-zero (negative walks backwards), sizes of
// the result.
struct Slice {
  Shape starts, steps, sizes;
  bool operator==(const Slice&) const = default;
};

// The gradient of Slice: dy (sizes) placed into zeros of input_shape.
struct SliceBackward {
  Slice slice;
  Shape input_shape;
  bool operator==(const SliceBackward&) const = default;
};

// One or more inputs of equal shape but for `axis`.
struct Concat {
  std::size_t axis = 0;
  bool operator==(const Concat&) const = default;
};

enum class PadMode : std::uint8_t { constant, reflect, edge };

// One number an axis; negative crops.
struct Pad {
  PadMode mode = PadMode::constant;
  Shape begin, end;
  float value = 0;
  bool operator==(const Pad&) const = default;
};

// data, indices (i64) -> data.shape[:axis] + indices.shape + data.shape[axis+1:]
struct Gather {
  std::size_t axis = 0;
  bool operator==(const Gather&) const = default;
};

// condition (boolean), a, b, broadcast.
struct Where {
  bool operator==(const Where&) const = default;
};

struct Cast {
  DType to = DType::f32;
  bool operator==(const Cast&) const = default;
};

// x f32, scale f32, zero_point i8 or u8 (kNoValue: u8 zero); scale and zero_point are scalars, or
// of the axis's length.
struct Quantize {
  std::size_t axis = 0;
  DType to = DType::u8;
  bool operator==(const Quantize&) const = default;
};

// x i8, u8 or i32; scale f32; zero_point of x's type or kNoValue.
struct Dequantize {
  std::size_t axis = 0;
  bool operator==(const Dequantize&) const = default;
};

using Op = std::variant<Conv, ConvBackwardData, MatMul, Unary, UnaryBackward, Binary, Reduce, Pool,
                        PoolBackward, Softmax, Transpose, Reshape, Expand, Slice, SliceBackward,
                        Concat, Pad, Gather, Where, Cast, Quantize, Dequantize>;

// "Conv", "UnaryBackward", ...
std::string_view name_of(const Op& op);

// The post-ops of an operator that has them, else empty.
const PostOps& post_ops_of(const Op& op);

// The binary ones among them: how many inputs stand behind the operator's own.
std::size_t operand_count(const PostOps& post_ops);

// The type of the result, from the types of the inputs (an absent optional input is nullptr, never
// left out). Fails with malformed where the operator's contract above does not hold, with too_large
// where the result is.
Result<TensorType> infer(const Op& op, std::span<const TensorType* const> inputs);

}  // namespace dermlens::graph
