// Reference definitions of elementwise arithmetic: over double, and over 64-bit integers that wrap.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/reference_ops.h"

namespace dermlens::graph {
namespace reference {
namespace {

using Unsigned = std::uint64_t;

std::int64_t wrap(Unsigned number) { return static_cast<std::int64_t>(number); }

double of_reals(BinaryFn fn, double a, double b) {
  switch (fn) {
    case BinaryFn::add:
      return a + b;
    case BinaryFn::sub:
      return a - b;
    case BinaryFn::mul:
      return a * b;
    case BinaryFn::div:
      return a / b;
    case BinaryFn::pow:
      return std::pow(a, b);
    case BinaryFn::max:
      return std::isnan(a) || a > b ? a : b;
    case BinaryFn::min:
      return std::isnan(a) || a < b ? a : b;
    case BinaryFn::mod:
      return std::fmod(a, b);
    default:
      return 0;
  }
}

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    return 0;
  }
  auto square = static_cast<Unsigned>(base);
  Unsigned product = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) product *= square;
    square *= square;
  }
  return wrap(product);
}

Result<std::int64_t> divide(BinaryFn fn, std::int64_t a, std::int64_t b) {
  if (b == 0) return fail(Errc::malformed, "integer division by zero (", a, " by ", b, ")");
  // The one quotient that does not fit: -2^63 / -1.
  if (b == -1) return fn == BinaryFn::div ? wrap(Unsigned{0} - static_cast<Unsigned>(a)) : 0;
  if (fn == BinaryFn::div) return a / b;
  const std::int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Result<std::int64_t> of_integers(BinaryFn fn, std::int64_t a, std::int64_t b) {
  const auto left = static_cast<Unsigned>(a), right = static_cast<Unsigned>(b);
  switch (fn) {
    case BinaryFn::add:
      return wrap(left + right);
    case BinaryFn::sub:
      return wrap(left - right);
    case BinaryFn::mul:
      return wrap(left * right);
    case BinaryFn::div:
    case BinaryFn::mod:
      return divide(fn, a, b);
    case BinaryFn::pow:
      return power(a, b);
    case BinaryFn::max:
      return std::max(a, b);
    case BinaryFn::min:
      return std::min(a, b);
    case BinaryFn::logical_and:
      return a & b;
    case BinaryFn::logical_or:
      return a | b;
    case BinaryFn::logical_xor:
      return a ^ b;
    default:
      return 0;
  }
}

template <class Number>
bool compare(BinaryFn fn, Number a, Number b) {
  switch (fn) {
    case BinaryFn::equal:
      return a == b;
    case BinaryFn::less:
      return a < b;
    case BinaryFn::less_or_equal:
      return a <= b;
    case BinaryFn::greater:
      return a > b;
    case BinaryFn::greater_or_equal:
      return a >= b;
    default:
      return false;
  }
}

bool is_comparison(BinaryFn fn) {
  return fn >= BinaryFn::equal && fn <= BinaryFn::greater_or_equal;
}

std::int64_t of_integer(const Unary& unary, std::int64_t x) {
  const auto bound = [](float number) {
    if (number >= 0x1p63f) return std::numeric_limits<std::int64_t>::max();
    if (!(number >= -0x1p63f)) return std::numeric_limits<std::int64_t>::min();
    return static_cast<std::int64_t>(number);
  };
  switch (unary.fn) {
    case UnaryFn::relu:
      return std::max<std::int64_t>(x, 0);
    case UnaryFn::clip:
      return std::min(std::max(x, bound(unary.alpha)), bound(unary.beta));
    case UnaryFn::abs:
      return x < 0 ? wrap(Unsigned{0} - static_cast<Unsigned>(x)) : x;
    case UnaryFn::neg:
      return wrap(Unsigned{0} - static_cast<Unsigned>(x));
    case UnaryFn::sign:
      return (x > 0) - (x < 0);
    case UnaryFn::logical_not:
      return x == 0 ? 1 : 0;
    default:
      return x;
  }
}

// The scale or zero point for the element at `offset`: one for all, or one for each index.
struct PerAxis {
  std::size_t inner = 1, length = 1;
  PerAxis(const Tensor& numbers, const Shape& shape, std::size_t axis) {
    length = numbers.reals.size() + numbers.integers.size();
    for (std::size_t i = axis + 1; i < shape.size(); ++i)
      inner *= static_cast<std::size_t>(shape[i]);
  }
  std::size_t index(std::size_t offset) const { return length == 1 ? 0 : offset / inner % length; }
};

}  // namespace

std::int64_t narrow(std::int64_t number, DType type) {
  switch (type) {
    case DType::i8:
      return static_cast<std::int8_t>(number);
    case DType::u8:
      return static_cast<std::uint8_t>(number);
    case DType::i32:
      return static_cast<std::int32_t>(number);
    case DType::boolean:
      return number != 0 ? 1 : 0;
    default:
      return number;
  }
}

std::int64_t truncate(double number) {
  if (std::isnan(number)) return 0;
  if (number >= 0x1p63) return std::numeric_limits<std::int64_t>::max();
  if (number < -0x1p63) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(number);
}

void apply_post_ops(Tensor& result, const PostOps& post_ops, Operands operands) {
  std::size_t next = 0;
  for (const PostOp& post_op : post_ops) {
    if (post_op.kind == PostOp::Kind::unary) {
      for (double& number : result.reals) number = evaluate(post_op.unary, number);
      continue;
    }
    const Tensor& operand = *operands[next++];
    const Shape& shape = result.type.shape;
    Walk<1> walk(shape, {broadcast_strides(operand.type.shape, shape)});
    for (double& number : result.reals) {
      const double other = operand.reals[walk.offset(0)];
      number = post_op.kind == PostOp::Kind::binary_add ? number + other : number * other;
      walk.next();
    }
  }
}

Result<Tensor> compute(const Unary& op, Operands in, const TensorType& type) {
  Tensor y = *in[0];
  for (double& number : y.reals) number = evaluate(op, number);
  for (std::int64_t& number : y.integers) number = narrow(of_integer(op, number), type.dtype);
  return y;
}

Result<Tensor> compute(const UnaryBackward& op, Operands in, const TensorType&) {
  Tensor dx = *in[1];
  for (std::size_t i = 0; i < dx.reals.size(); ++i)
    dx.reals[i] *= derivative(op.unary, in[0]->reals[i]);
  return dx;
}

Result<Tensor> compute(const Binary& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const Tensor &a = *in[0], &b = *in[1];
  const bool reals = is_float(a.type.dtype);
  Walk<2> walk(type.shape, {broadcast_strides(a.type.shape, type.shape),
                            broadcast_strides(b.type.shape, type.shape)});
  const std::size_t elements = std::max(y.reals.size(), y.integers.size());
  for (std::size_t i = 0; i < elements; ++i, walk.next()) {
    const std::size_t left = walk.offset(0), right = walk.offset(1);
    if (is_comparison(op.fn)) {
      y.integers[i] = reals ? compare(op.fn, a.reals[left], b.reals[right])
                            : compare(op.fn, a.integers[left], b.integers[right]);
    } else if (reals) {
      y.reals[i] = of_reals(op.fn, a.reals[left], b.reals[right]);
    } else {
      TRY(const std::int64_t number, of_integers(op.fn, a.integers[left], b.integers[right]));
      y.integers[i] = narrow(number, type.dtype);
    }
  }
  apply_post_ops(y, op.post_ops, in.subspan(2));
  return y;
}

Result<Tensor> compute(const Where&, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  Walk<3> walk(type.shape, {broadcast_strides(in[0]->type.shape, type.shape),
                            broadcast_strides(in[1]->type.shape, type.shape),
                            broadcast_strides(in[2]->type.shape, type.shape)});
  const std::size_t elements = std::max(y.reals.size(), y.integers.size());
  for (std::size_t i = 0; i < elements; ++i, walk.next()) {
    const std::size_t chosen = in[0]->integers[walk.offset(0)] != 0 ? 1 : 2;
    if (y.integers.empty()) {
      y.reals[i] = in[chosen]->reals[walk.offset(chosen)];
    } else {
      y.integers[i] = in[chosen]->integers[walk.offset(chosen)];
    }
  }
  return y;
}

Result<Tensor> compute(const Cast& op, Operands in, const TensorType& type) {
  const Tensor& x = *in[0];
  Tensor y = zeros(type);
  if (is_float(op.to)) {
    std::ranges::transform(x.integers, y.reals.begin(),
                           [](std::int64_t number) { return static_cast<double>(number); });
    if (is_float(x.type.dtype)) y.reals = x.reals;
    return y;
  }
  y.integers = x.integers;
  for (const double number : x.reals)
    y.integers.push_back(op.to == DType::boolean ? number != 0 : truncate(number));
  for (std::int64_t& number : y.integers) number = narrow(number, op.to);
  return y;
}

Result<Tensor> compute(const Quantize& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const Tensor &x = *in[0], &scale = *in[1];
  const PerAxis per_scale(scale, type.shape, op.axis);
  const PerAxis per_zero(in[2] == nullptr ? scale : *in[2], type.shape, op.axis);
  const double low = op.to == DType::i8 ? -128 : 0, high = op.to == DType::i8 ? 127 : 255;
  for (std::size_t i = 0; i < y.integers.size(); ++i) {
    const std::int64_t zero = in[2] == nullptr ? 0 : in[2]->integers[per_zero.index(i)];
    // The default rounding mode is half to even, as the operator wants it.
    const double rounded = std::nearbyint(x.reals[i] / scale.reals[per_scale.index(i)]);
    y.integers[i] = truncate(std::clamp(rounded + static_cast<double>(zero), low, high));
  }
  return y;
}

Result<Tensor> compute(const Dequantize& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const Tensor &x = *in[0], &scale = *in[1];
  const PerAxis per_scale(scale, type.shape, op.axis);
  const PerAxis per_zero(in[2] == nullptr ? scale : *in[2], type.shape, op.axis);
  for (std::size_t i = 0; i < y.reals.size(); ++i) {
    const std::int64_t zero = in[2] == nullptr ? 0 : in[2]->integers[per_zero.index(i)];
    y.reals[i] = static_cast<double>(x.integers[i] - zero) * scale.reals[per_scale.index(i)];
  }
  return y;
}

}  // namespace reference
}  // namespace dermlens::graph
