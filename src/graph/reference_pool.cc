// Reference definitions of pooling, its gradient, reductions and softmax.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "graph/reference_ops.h"

namespace dermlens::graph::reference {
namespace {

// Pooling with its spatial dimensions padded to three in front.
struct Windows {
  std::array<std::int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1},
      dilation{1, 1, 1}, pad{0, 0, 0};
  std::size_t planes, plane_in, plane_out;

  Windows(const PoolGeometry& geometry, const Shape& x, const Shape& y)
      : planes(static_cast<std::size_t>(x[0] * x[1])) {
    const std::size_t spatial = x.size() - 2;
    for (std::size_t i = 0; i < spatial; ++i) {
      const std::size_t at = 3 - spatial + i;
      in[at] = x[2 + i];
      out[at] = y[2 + i];
      kernel[at] = geometry.kernel[i];
      stride[at] = geometry.strides[i];
      dilation[at] = geometry.dilations[i];
      pad[at] = geometry.pads_begin[i];
    }
    plane_in = static_cast<std::size_t>(in[0] * in[1] * in[2]);
    plane_out = static_cast<std::size_t>(out[0] * out[1] * out[2]);
  }

  double kernel_elements() const {
    return static_cast<double>(kernel[0]) * static_cast<double>(kernel[1]) *
           static_cast<double>(kernel[2]);
  }

  // The offsets, within a plane, of the elements under the window of output `o`, in order.
  void elements(std::size_t o, std::vector<std::size_t>& offsets) const {
    offsets.clear();
    const auto place = static_cast<std::int64_t>(o);
    const std::array<std::int64_t, 3> at = {place / (out[1] * out[2]), place / out[2] % out[1],
                                            place % out[2]};
    for (std::int64_t kd = 0; kd < kernel[0]; ++kd) {
      const std::int64_t d = at[0] * stride[0] + kd * dilation[0] - pad[0];
      if (d < 0 || d >= in[0]) continue;
      for (std::int64_t kh = 0; kh < kernel[1]; ++kh) {
        const std::int64_t h = at[1] * stride[1] + kh * dilation[1] - pad[1];
        if (h < 0 || h >= in[1]) continue;
        for (std::int64_t kw = 0; kw < kernel[2]; ++kw) {
          const std::int64_t w = at[2] * stride[2] + kw * dilation[2] - pad[2];
          if (w >= 0 && w < in[2])
            offsets.push_back(static_cast<std::size_t>((d * in[1] + h) * in[2] + w));
        }
      }
    }
  }
};

// Calls window(elements under it, first element of its plane, its output).
template <class Window>
void for_each_window(const Windows& windows, const Window& window) {
  std::vector<std::size_t> elements;
  for (std::size_t o = 0; o < windows.plane_out; ++o) {
    windows.elements(o, elements);
    for (std::size_t plane = 0; plane < windows.planes; ++plane)
      window(std::as_const(elements), plane * windows.plane_in, plane * windows.plane_out + o);
  }
}

template <class Number>
std::size_t first_maximum(const std::vector<Number>& x, const std::vector<std::size_t>& elements,
                          std::size_t base) {
  std::size_t best = elements.front();
  for (const std::size_t element : elements)
    if (x[base + element] > x[base + best]) best = element;
  return base + best;
}

double divisor(const PoolGeometry& geometry, const Windows& windows, std::size_t elements) {
  return geometry.kind == PoolKind::average_include_pad ? windows.kernel_elements()
                                                        : static_cast<double>(elements);
}

template <class Number>
Number neutral(ReduceFn fn) {
  using Limits = std::numeric_limits<Number>;
  switch (fn) {
    case ReduceFn::max:
      return Limits::has_infinity ? -Limits::infinity() : Limits::min();
    case ReduceFn::min:
      return Limits::has_infinity ? Limits::infinity() : Limits::max();
    case ReduceFn::prod:
      return 1;
    default:
      return 0;
  }
}

double combine(ReduceFn fn, double a, double b) {
  switch (fn) {
    case ReduceFn::max:
      return std::isnan(a) || a > b ? a : b;
    case ReduceFn::min:
      return std::isnan(a) || a < b ? a : b;
    case ReduceFn::prod:
      return a * b;
    default:
      return a + b;
  }
}

std::int64_t combine(ReduceFn fn, std::int64_t a, std::int64_t b) {
  const auto left = static_cast<std::uint64_t>(a), right = static_cast<std::uint64_t>(b);
  switch (fn) {
    case ReduceFn::max:
      return std::max(a, b);
    case ReduceFn::min:
      return std::min(a, b);
    case ReduceFn::prod:
      return static_cast<std::int64_t>(left * right);
    default:
      return static_cast<std::int64_t>(left + right);
  }
}

template <class Number>
void reduce(const Reduce& op, const Shape& shape, const std::vector<Number>& x,
            std::vector<Number>& y) {
  Shape kept = shape;
  for (const std::size_t axis : op.axes) kept[axis] = 1;
  std::ranges::fill(y, neutral<Number>(op.fn));
  Walk<1> walk(shape, {broadcast_strides(kept, shape)});
  for (const Number number : x) {
    y[walk.offset(0)] = combine(op.fn, y[walk.offset(0)], number);
    walk.next();
  }
  if (op.fn != ReduceFn::mean || y.empty()) return;
  const std::size_t numbers = x.size() / y.size();
  for (Number& number : y) number /= static_cast<Number>(numbers);
}

}  // namespace

Result<Tensor> compute(const Pool& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const Tensor& x = *in[0];
  const Windows windows(op.geometry, x.type.shape, type.shape);
  for_each_window(windows,
                  [&](const std::vector<std::size_t>& elements, std::size_t base, std::size_t to) {
                    if (!is_float(type.dtype)) {
                      y.integers[to] = x.integers[first_maximum(x.integers, elements, base)];
                    } else if (op.geometry.kind == PoolKind::max) {
                      y.reals[to] = x.reals[first_maximum(x.reals, elements, base)];
                    } else {
                      double sum = 0;
                      for (const std::size_t element : elements) sum += x.reals[base + element];
                      y.reals[to] = sum / divisor(op.geometry, windows, elements.size());
                    }
                  });
  return y;
}

Result<Tensor> compute(const PoolBackward& op, Operands in, const TensorType& type) {
  Tensor dx = zeros(type);
  const Tensor &dy = *in[0], &x = *in[1];
  const Windows windows(op.geometry, type.shape, dy.type.shape);
  for_each_window(
      windows, [&](const std::vector<std::size_t>& elements, std::size_t base, std::size_t from) {
        if (op.geometry.kind == PoolKind::max) {
          dx.reals[first_maximum(x.reals, elements, base)] += dy.reals[from];
          return;
        }
        const double share = dy.reals[from] / divisor(op.geometry, windows, elements.size());
        for (const std::size_t element : elements) dx.reals[base + element] += share;
      });
  return dx;
}

Result<Tensor> compute(const Reduce& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  if (is_float(type.dtype)) {
    reduce(op, in[0]->type.shape, in[0]->reals, y.reals);
  } else {
    reduce(op, in[0]->type.shape, in[0]->integers, y.integers);
    for (std::int64_t& number : y.integers) number = narrow(number, type.dtype);
  }
  return y;
}

Result<Tensor> compute(const Softmax& op, Operands in, const TensorType& type) {
  Tensor y = *in[0];
  const auto length = static_cast<std::size_t>(type.shape[op.axis]);
  std::size_t stride = 1;
  for (std::size_t axis = op.axis + 1; axis < type.shape.size(); ++axis)
    stride *= static_cast<std::size_t>(type.shape[axis]);
  for (std::size_t start = 0; start < y.reals.size(); ++start) {
    if (start / stride % length != 0) continue;
    double* row = y.reals.data() + start;
    double largest = row[0], sum = 0;
    for (std::size_t i = 0; i < length; ++i) largest = std::max(largest, row[i * stride]);
    for (std::size_t i = 0; i < length; ++i) sum += std::exp(row[i * stride] - largest);
    for (std::size_t i = 0; i < length; ++i) {
      double& number = row[i * stride];
      number = op.log ? number - largest - std::log(sum) : std::exp(number - largest) / sum;
    }
  }
  return y;
}

}  // namespace dermlens::graph::reference
