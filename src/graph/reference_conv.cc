// Reference definitions of convolution, its gradient and the matrix product.
#include <algorithm>

#include "graph/reference_ops.h"

namespace dermlens::graph::reference {
namespace {

// A convolution with its spatial dimensions padded to three in front.
struct Sizes {
  std::array<std::int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1},
      dilation{1, 1, 1}, pad{0, 0, 0};
  std::int64_t batch, groups, group_in, group_out;

  Sizes(const ConvGeometry& geometry, const Shape& x, const Shape& w, const Shape& y)
      : batch(x[0]), groups(geometry.groups), group_in(w[1]), group_out(w[0] / geometry.groups) {
    const std::size_t spatial = x.size() - 2;
    for (std::size_t i = 0; i < spatial; ++i) {
      const std::size_t at = 3 - spatial + i;
      in[at] = x[2 + i];
      out[at] = y[2 + i];
      kernel[at] = w[2 + i];
      stride[at] = geometry.strides[i];
      dilation[at] = geometry.dilations[i];
      pad[at] = geometry.pads_begin[i];
    }
  }
};

// The outputs [first, last) along a dimension for which tap `k` falls inside the input.
struct Range {
  std::int64_t first, last;
  Range(const Sizes& s, std::size_t d, std::int64_t k) {
    const std::int64_t shift = k * s.dilation[d] - s.pad[d];
    first = shift >= 0 ? 0 : (-shift + s.stride[d] - 1) / s.stride[d];
    last = shift >= s.in[d] ? 0 : std::min(s.out[d], (s.in[d] - 1 - shift) / s.stride[d] + 1);
  }
};

// Calls row(out, in, step, length, w): `length` outputs from offset `out` on meet inputs from `in`
// on, `step` apart, through the weight at offset w.
template <class Row>
void for_each_tap_of_plane(const Sizes& s, std::int64_t x, std::int64_t w, std::int64_t y,
                           const Row& row) {
  for (std::int64_t kd = 0; kd < s.kernel[0]; ++kd) {
    for (std::int64_t kh = 0; kh < s.kernel[1]; ++kh) {
      for (std::int64_t kw = 0; kw < s.kernel[2]; ++kw) {
        const Range depth(s, 0, kd), height(s, 1, kh), width(s, 2, kw);
        if (width.first >= width.last) continue;
        const std::int64_t tap = w + (kd * s.kernel[1] + kh) * s.kernel[2] + kw;
        for (std::int64_t od = depth.first; od < depth.last; ++od) {
          for (std::int64_t oh = height.first; oh < height.last; ++oh) {
            const std::int64_t id = od * s.stride[0] + kd * s.dilation[0] - s.pad[0];
            const std::int64_t ih = oh * s.stride[1] + kh * s.dilation[1] - s.pad[1];
            const std::int64_t iw = width.first * s.stride[2] + kw * s.dilation[2] - s.pad[2];
            row(y + (od * s.out[1] + oh) * s.out[2] + width.first,
                x + (id * s.in[1] + ih) * s.in[2] + iw, s.stride[2], width.last - width.first, tap);
          }
        }
      }
    }
  }
}

template <class Row>
void for_each_row(const Sizes& s, const Row& row) {
  const std::int64_t plane_in = s.in[0] * s.in[1] * s.in[2];
  const std::int64_t plane_out = s.out[0] * s.out[1] * s.out[2];
  const std::int64_t taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
  for (std::int64_t n = 0; n < s.batch; ++n) {
    for (std::int64_t m = 0; m < s.groups * s.group_out; ++m) {
      for (std::int64_t c = 0; c < s.group_in; ++c) {
        const std::int64_t channel = m / s.group_out * s.group_in + c;
        const std::int64_t x = (n * s.groups * s.group_in + channel) * plane_in;
        const std::int64_t y = (n * s.groups * s.group_out + m) * plane_out;
        for_each_tap_of_plane(s, x, (m * s.group_in + c) * taps, y, row);
      }
    }
  }
}

// Row-major strides of the last two axes, swapped where the operand is transposed.
struct Matrix {
  std::int64_t row_stride, column_stride;
  Matrix(const Shape& shape, bool transposed) : row_stride(shape.back()), column_stride(1) {
    if (transposed) std::swap(row_stride, column_stride);
  }
};

Shape batch_strides(const Shape& shape, const Shape& batch) {
  Shape strides = broadcast_strides(Shape(shape.begin(), shape.end() - 2), batch);
  for (std::int64_t& stride : strides) stride *= shape.back() * shape[shape.size() - 2];
  return strides;
}

void add_bias(Tensor& result, const Tensor* bias) {
  if (bias == nullptr) return;
  Walk<1> walk(result.type.shape, {broadcast_strides(bias->type.shape, result.type.shape)});
  for (double& number : result.reals) {
    number += bias->reals[walk.offset(0)];
    walk.next();
  }
}

}  // namespace

Result<Tensor> compute(const Conv& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const Sizes sizes(op.geometry, in[0]->type.shape, in[1]->type.shape, type.shape);
  const double* x = in[0]->reals.data();
  for_each_row(sizes, [&](std::int64_t out, std::int64_t from, std::int64_t step,
                          std::int64_t length, std::int64_t tap) {
    const double weight = in[1]->reals[static_cast<std::size_t>(tap)];
    double* to = y.reals.data() + out;
    for (std::int64_t i = 0; i < length; ++i) to[i] += weight * x[from + i * step];
  });
  if (in[2] != nullptr) {
    const std::size_t channels = in[2]->reals.size();
    const std::size_t plane = y.reals.size() / (channels * static_cast<std::size_t>(sizes.batch));
    for (std::size_t i = 0; i < y.reals.size(); ++i)
      y.reals[i] += in[2]->reals[i / plane % channels];
  }
  apply_post_ops(y, op.post_ops, in.subspan(3));
  return y;
}

Result<Tensor> compute(const ConvBackwardData& op, Operands in, const TensorType& type) {
  Tensor dx = zeros(type);
  const Sizes sizes(op.geometry, type.shape, in[1]->type.shape, in[0]->type.shape);
  for_each_row(sizes, [&](std::int64_t out, std::int64_t from, std::int64_t step,
                          std::int64_t length, std::int64_t tap) {
    const double weight = in[1]->reals[static_cast<std::size_t>(tap)];
    const double* dy = in[0]->reals.data() + out;
    double* to = dx.reals.data() + from;
    for (std::int64_t i = 0; i < length; ++i) to[i * step] += weight * dy[i];
  });
  return dx;
}

Result<Tensor> compute(const MatMul& op, Operands in, const TensorType& type) {
  Tensor y = zeros(type);
  const Shape &a = in[0]->type.shape, &b = in[1]->type.shape;
  const Matrix left(a, op.transpose_a), right(b, op.transpose_b);
  const Shape batch(type.shape.begin(), type.shape.end() - 2);
  const std::int64_t columns = type.shape.back(), rows = type.shape[type.shape.size() - 2];
  const std::int64_t depth = op.transpose_a ? a[a.size() - 2] : a.back();
  const auto size = static_cast<std::size_t>(rows * columns);
  Walk<2> walk(batch, {batch_strides(a, batch), batch_strides(b, batch)});
  for (std::size_t done = 0; done < y.reals.size(); done += size, walk.next()) {
    const double* a_at = in[0]->reals.data() + walk.offset(0);
    const double* b_at = in[1]->reals.data() + walk.offset(1);
    for (std::int64_t i = 0; i < rows; ++i) {
      double* to = y.reals.data() + done + i * columns;
      for (std::int64_t k = 0; k < depth; ++k) {
        const double factor = a_at[i * left.row_stride + k * left.column_stride];
        const double* from = b_at + k * right.row_stride;
        for (std::int64_t j = 0; j < columns; ++j) to[j] += factor * from[j * right.column_stride];
      }
    }
  }
  add_bias(y, in[2]);
  apply_post_ops(y, op.post_ops, in.subspan(3));
  return y;
}

}  // namespace dermlens::graph::reference
