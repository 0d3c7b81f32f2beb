// The loops. Shapes were checked when the graph was built; nothing here can fail.
#include "kernels/native.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

namespace dermlens::kernels {
namespace {

using graph::BinaryFn;
using graph::UnaryFn;

float* floats(std::byte* bytes) { return reinterpret_cast<float*>(bytes); }

float apply(const graph::Unary& op, float x) {
  switch (op.fn) {
    case UnaryFn::erf:
      return std::erf(x);
    case UnaryFn::reciprocal:
      return 1 / x;
    case UnaryFn::softplus:
      return std::max(x, 0.0F) + std::log1p(std::exp(-std::abs(x)));
    case UnaryFn::power:
      return std::pow(x, op.alpha);
    case UnaryFn::floor:
      return std::floor(x);
    case UnaryFn::ceil:
      return std::ceil(x);
    case UnaryFn::round:
      return std::nearbyint(x);
    case UnaryFn::sign:
      return x > 0 ? 1.0F : (x < 0 ? -1.0F : 0.0F);
    case UnaryFn::logical_not:
      return x == 0 ? 1.0F : 0.0F;
    default:
      break;
  }
  return std::numeric_limits<float>::quiet_NaN();
}

float slope(const graph::Unary& op, float x) {
  switch (op.fn) {
    case UnaryFn::clip:
      return x >= op.alpha && x <= op.beta ? 1.0F : 0.0F;
    case UnaryFn::hard_sigmoid: {
      const float y = op.alpha * x + op.beta;
      return y > 0 && y < 1 ? op.alpha : 0.0F;
    }
    case UnaryFn::hard_swish:
      return x < -3 ? 0.0F : (x <= 3 ? x / 3 + 0.5F : 1.0F);
    case UnaryFn::erf:
      return 1.1283791670955126F * std::exp(-x * x);
    case UnaryFn::exp:
      return std::exp(x);
    case UnaryFn::log:
      return 1 / x;
    case UnaryFn::sqrt:
      return 0.5F / std::sqrt(x);
    case UnaryFn::reciprocal:
      return -1 / (x * x);
    case UnaryFn::abs:
      return x > 0 ? 1.0F : (x < 0 ? -1.0F : 0.0F);
    case UnaryFn::neg:
      return -1;
    case UnaryFn::softplus:
      return 1 / (1 + std::exp(-x));
    case UnaryFn::linear:
      return op.alpha;
    case UnaryFn::power:
      return op.alpha * std::pow(x, op.alpha - 1);
    default:
      return 0;  // steps: flat almost everywhere
  }
}

float combine(BinaryFn fn, float a, float b) {
  switch (fn) {
    case BinaryFn::pow:
      return std::pow(a, b);
    case BinaryFn::mod:
      return std::fmod(a, b);
    case BinaryFn::logical_and:
      return a != 0 && b != 0 ? 1.0F : 0.0F;
    case BinaryFn::logical_or:
      return a != 0 || b != 0 ? 1.0F : 0.0F;
    case BinaryFn::logical_xor:
      return (a != 0) != (b != 0) ? 1.0F : 0.0F;
    default:
      return std::numeric_limits<float>::quiet_NaN();
  }
}

std::vector<std::int64_t> row_major_strides(const graph::Shape& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// Position of a window along every spatial axis.
struct PoolPlane {
  graph::PoolGeometry geometry;
  std::vector<std::int64_t> input, output;  // spatial sizes
  std::vector<std::int64_t> strides;        // of the input

  // The first of the largest elements in the window at `at`, or -1 for a window of padding only.
  std::int64_t argmax(const float* x, const std::vector<std::int64_t>& at,
                      std::vector<std::int64_t>& offset) const {
    std::int64_t best = -1;
    std::fill(offset.begin(), offset.end(), 0);
    while (true) {
      std::int64_t index = 0;
      bool inside = true;
      for (std::size_t d = 0; d < input.size(); ++d) {
        const std::int64_t i = at[d] * geometry.strides[d] - geometry.pads_begin[d] +
                               offset[d] * geometry.dilations[d];
        inside = inside && i >= 0 && i < input[d];
        index += i * strides[d];
      }
      if (inside && (best < 0 || x[index] > x[best])) best = index;
      std::size_t d = input.size();
      while (d > 0 && ++offset[d - 1] == geometry.kernel[d - 1]) offset[--d] = 0;
      if (d == 0) return best;
    }
  }
};

// Integer sums are exact in fp32 up to 2^24, which is 2^16 pixels of eight bits; larger maps lose
// less than the quantization did.
template <class T>
void mean_channels(const T* x, float* y, Bytes pixels, Bytes channels, float scale) {
  std::fill_n(y, channels, 0.0F);
  for (Bytes p = 0; p < pixels; ++p, x += channels)
    for (Bytes c = 0; c < channels; ++c) y[c] += static_cast<float>(x[c]);
  const float factor = scale / static_cast<float>(pixels);
  for (Bytes c = 0; c < channels; ++c) y[c] *= factor;
}

template <class T>
void scale_channels(const T* x, const float* s, T* y, Bytes pixels, Bytes channels, float scale) {
  constexpr float kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
  // Adding and taking away 1.5 * 2^23 rounds half to even, as nearbyint does, and vectorises.
  constexpr float kRound = 12582912.0F;
  for (Bytes p = 0; p < pixels; ++p, x += channels, y += channels)
    for (Bytes c = 0; c < channels; ++c) {
      const float value = std::clamp(static_cast<float>(x[c]) * s[c] * scale, kLow, kHigh);
      y[c] = static_cast<T>(static_cast<std::int32_t>((value + kRound) - kRound));
    }
}

}  // namespace

Native unary(const graph::Unary& op, Bytes count) {
  return [op, count](std::span<std::byte* const> arguments) {
    const float* x = floats(arguments[0]);
    float* y = floats(arguments[1]);
    for (Bytes i = 0; i < count; ++i) y[i] = apply(op, x[i]);
  };
}

Native binary(BinaryFn fn, Bytes count) {
  return [fn, count](std::span<std::byte* const> arguments) {
    const float* a = floats(arguments[0]);
    const float* b = floats(arguments[1]);
    float* y = floats(arguments[2]);
    for (Bytes i = 0; i < count; ++i) y[i] = combine(fn, a[i], b[i]);
  };
}

Native where(Bytes count) {
  return [count](std::span<std::byte* const> arguments) {
    const float* condition = floats(arguments[0]);
    const float* a = floats(arguments[1]);
    const float* b = floats(arguments[2]);
    float* y = floats(arguments[3]);
    for (Bytes i = 0; i < count; ++i) y[i] = condition[i] != 0 ? a[i] : b[i];
  };
}

Native unary_backward(const graph::Unary& op, Bytes count) {
  return [op, count](std::span<std::byte* const> arguments) {
    const float* x = floats(arguments[0]);
    const float* dy = floats(arguments[1]);
    float* dx = floats(arguments[2]);
    for (Bytes i = 0; i < count; ++i) dx[i] = dy[i] * slope(op, x[i]);
  };
}

Native max_pool_backward(const graph::PoolGeometry& geometry, const graph::Shape& input_shape,
                         const graph::Shape& output_shape) {
  PoolPlane plane{geometry,
                  {input_shape.begin() + 2, input_shape.end()},
                  {output_shape.begin() + 2, output_shape.end()},
                  {}};
  plane.strides = row_major_strides(plane.input);
  const std::int64_t planes = input_shape[0] * input_shape[1];
  std::int64_t input_size = 1, output_size = 1;
  for (const std::int64_t size : plane.input) input_size *= size;
  for (const std::int64_t size : plane.output) output_size *= size;
  return [plane, planes, input_size, output_size](std::span<std::byte* const> arguments) {
    const float* dy = floats(arguments[0]);
    const float* x = floats(arguments[1]);
    float* dx = floats(arguments[2]);
    std::fill_n(dx, planes * input_size, 0.0F);
    std::vector<std::int64_t> at(plane.output.size()), offset(plane.output.size());
    for (std::int64_t p = 0; p < planes; ++p, x += input_size, dx += input_size) {
      std::fill(at.begin(), at.end(), 0);
      for (std::int64_t i = 0; i < output_size; ++i) {
        const std::int64_t best = plane.argmax(x, at, offset);
        if (best >= 0) dx[best] += *dy;
        ++dy;
        for (std::size_t d = at.size(); d > 0 && ++at[d - 1] == plane.output[d - 1]; --d)
          at[d - 1] = 0;
      }
    }
  };
}

Native integer_mean(Bytes pixels, Bytes channels, float scale, bool is_signed) {
  return [=](std::span<std::byte* const> arguments) {
    float* y = floats(arguments[1]);
    if (is_signed) {
      mean_channels(reinterpret_cast<const std::int8_t*>(arguments[0]), y, pixels, channels, scale);
    } else {
      mean_channels(reinterpret_cast<const std::uint8_t*>(arguments[0]), y, pixels, channels,
                    scale);
    }
  };
}

Native integer_scale(Bytes pixels, Bytes channels, float scale, bool is_signed) {
  return [=](std::span<std::byte* const> arguments) {
    const float* s = floats(arguments[1]);
    if (is_signed) {
      scale_channels(reinterpret_cast<std::int8_t*>(arguments[0]), s,
                     reinterpret_cast<std::int8_t*>(arguments[2]), pixels, channels, scale);
    } else {
      scale_channels(reinterpret_cast<std::uint8_t*>(arguments[0]), s,
                     reinterpret_cast<std::uint8_t*>(arguments[2]), pixels, channels, scale);
    }
  };
}

Native quantize(QuantizeParameters parameters) {
  const auto p = std::make_shared<const QuantizeParameters>(std::move(parameters));
  return [p](std::span<std::byte* const> arguments) {
    const float* x = floats(arguments[0]);
    float* y = floats(arguments[1]);
    for (Bytes outer = 0; outer < p->outer; ++outer)
      for (std::size_t c = 0; c < p->scale.size(); ++c)
        for (Bytes i = 0; i < p->inner; ++i, ++x, ++y)
          *y = std::clamp(std::nearbyint(*x / p->scale[c]) + p->zero_point[c], p->low, p->high);
  };
}

Native dequantize(QuantizeParameters parameters) {
  const auto p = std::make_shared<const QuantizeParameters>(std::move(parameters));
  return [p](std::span<std::byte* const> arguments) {
    const float* x = floats(arguments[0]);
    float* y = floats(arguments[1]);
    for (Bytes outer = 0; outer < p->outer; ++outer)
      for (std::size_t c = 0; c < p->scale.size(); ++c)
        for (Bytes i = 0; i < p->inner; ++i, ++x, ++y) *y = (*x - p->zero_point[c]) * p->scale[c];
  };
}

}  // namespace dermlens::kernels
