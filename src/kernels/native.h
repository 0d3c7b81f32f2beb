// Our own loops for what oneDNN has no primitive for, over row-major fp32. They allocate nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/op.h"
#include "kernels/lowered.h"

namespace dermlens::kernels {

// Elementwise over `count` elements. Arguments: x, y / a, b, y / condition, a, b, y / x, dy, dx.
Native unary(const graph::Unary& op, Bytes count);
Native binary(graph::BinaryFn fn, Bytes count);
Native where(Bytes count);
Native unary_backward(const graph::Unary& op, Bytes count);

// Arguments: dy, x, dx; shapes [N, C, *S].
Native max_pool_backward(const graph::PoolGeometry& geometry, const graph::Shape& input_shape,
                         const graph::Shape& output_shape);

// Channels last, [pixels, channels] of i8 (or u8): the mean of each channel times `scale`, in fp32.
// Arguments: x, y [channels].
Native integer_mean(Bytes pixels, Bytes channels, float scale, bool is_signed);
// y[p, c] = saturate(round(x[p, c] * s[c] * scale)). Arguments: x, s, y; y may be x.
Native integer_scale(Bytes pixels, Bytes channels, float scale, bool is_signed);

// Integers kept as fp32: exact, as they have eight bits. [outer, channels, inner] with one scale
// and zero point a channel. Arguments: x, y.
struct QuantizeParameters {
  Bytes outer = 1, inner = 1;
  std::vector<float> scale, zero_point;
  float low = 0, high = 255;
};
Native quantize(QuantizeParameters parameters);
Native dequantize(QuantizeParameters parameters);

}  // namespace dermlens::kernels
