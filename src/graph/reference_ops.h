// Inside of graph: the reference definition of each operator. Operands were checked by infer(), and
// `type` is what it gave; an absent optional operand is nullptr.
#pragma once

#include <array>
#include <span>

#include "graph/reference.h"

namespace dermlens::graph::reference {

using Operands = std::span<const Tensor* const>;

Result<Tensor> compute(const Conv& op, Operands in, const TensorType& type);
Result<Tensor> compute(const ConvBackwardData& op, Operands in, const TensorType& type);
Result<Tensor> compute(const MatMul& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Unary& op, Operands in, const TensorType& type);
Result<Tensor> compute(const UnaryBackward& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Binary& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Reduce& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Pool& op, Operands in, const TensorType& type);
Result<Tensor> compute(const PoolBackward& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Softmax& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Transpose& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Reshape& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Expand& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Slice& op, Operands in, const TensorType& type);
Result<Tensor> compute(const SliceBackward& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Concat& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Pad& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Gather& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Where& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Cast& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Quantize& op, Operands in, const TensorType& type);
Result<Tensor> compute(const Dequantize& op, Operands in, const TensorType& type);

// A tensor of zeros.
Tensor zeros(const TensorType& type);

// The value a 64-bit integer takes in an integer type (it wraps) or as a boolean (0 or 1).
std::int64_t narrow(std::int64_t number, DType type);

// Towards zero; saturates, and NaN becomes 0.
std::int64_t truncate(double number);

// Applies post-ops in place; `operands` are the inputs of the binary ones.
void apply_post_ops(Tensor& result, const PostOps& post_ops, Operands operands);

// Row-major strides of `shape` as seen from the axes of `result`, 0 where it is broadcast.
Shape broadcast_strides(const Shape& shape, const Shape& result);

// Walks over `shape` in row-major order and keeps, for each of N operands, the offset that its
// strides (one an axis) give at the present place.
template <std::size_t N>
class Walk {
 public:
  Walk(const Shape& shape, std::array<Shape, N> strides)
      : shape_(shape), strides_(std::move(strides)), place_(shape.size(), 0) {}

  std::size_t offset(std::size_t operand) const {
    return static_cast<std::size_t>(offsets_[operand]);
  }
  void start_at(std::size_t operand, std::int64_t offset) { offsets_[operand] = offset; }

  void next() {
    for (std::size_t axis = shape_.size(); axis-- > 0;) {
      for (std::size_t i = 0; i < N; ++i) offsets_[i] += strides_[i][axis];
      if (++place_[axis] < shape_[axis]) return;
      for (std::size_t i = 0; i < N; ++i) offsets_[i] -= strides_[i][axis] * shape_[axis];
      place_[axis] = 0;
    }
  }

 private:
  Shape shape_;
  std::array<Shape, N> strides_;
  std::array<std::int64_t, N> offsets_{};
  Shape place_;
};

}  // namespace dermlens::graph::reference
