#include "property/kernels/convolutions.h"

#include <array>
#include <sstream>

#include "property/kernels/stored.h"
#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

class ChainGrower {
 public:
  ChainGrower(unsigned seed, DType type) : random_(seed), type_(type) {}

  Chain grow() {
    const bool one_pixel = below(6) == 0;
    const std::int64_t height = one_pixel ? 1 : 1 + below(12);
    const std::int64_t width = one_pixel || below(5) == 0 ? 1 : 1 + below(12);
    const std::int64_t batch = below(5) == 0 ? 2 : 1;
    ValueId x = input(graph_, "image", {batch, channels(), height, width});
    x = convolution(narrowed(x), channels());
    const std::int64_t steps = 1 + below(3);
    for (std::int64_t i = 0; i < steps; ++i) x = step(narrowed(x));
    graph_.add_output(x);
    return {std::move(graph_), std::move(story_).str()};
  }

 private:
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(random_() % static_cast<unsigned>(bound));
  }
  template <std::size_t size>
  std::int64_t one_of(const std::array<std::int64_t, size>& choices) {
    return choices[static_cast<std::size_t>(below(size))];
  }
  std::int64_t channels() {
    // So few sum up to so little that nothing is left of it in fewer bits.
    if (type_ == DType::f32 && below(6) == 0) return 1 + below(2);
    return one_of<14>({3, 5, 8, 12, 16, 17, 20, 24, 33, 40, 48, 64, 80, 96});
  }
  const Shape& shape(ValueId value) const { return graph_.value(value).type.shape; }
  ValueId narrowed(ValueId x) { return type_ == DType::i8 ? quantized(graph_, x, random_) : x; }

  ValueId step(ValueId x) {
    switch (below(6)) {
      case 0:
        return convolution(x, channels());
      case 1:
        return per_channel(convolution(x, channels()));
      case 2:
        return pooled(x);
      case 3:
        return activation(convolution(x, channels()));
      default:
        return residual(x);
    }
  }

  ValueId convolution(ValueId x, std::int64_t out) {
    const Shape from = shape(x);
    ConvGeometry geometry = testing::geometry(2);
    std::int64_t in = from[1];
    // Each channel by itself, eight together, or all.
    const std::int64_t kind = below(5);
    if (kind == 0) out = geometry.groups = in;
    if (kind == 1 && in % 8 == 0) {
      out = in;
      geometry.groups = in / 8;
    }
    in /= geometry.groups;
    Shape kernel{1, 1};
    const bool plain = below(3) == 0, keeps_size = below(3) != 0;
    for (std::size_t i = 0; i < 2; ++i) {
      if (!plain) kernel[i] = one_of<5>({1, 2, 3, 3, 5});
      const std::int64_t pad = kernel[i] / 2;
      if (!keeps_size) geometry.strides[i] = one_of<4>({1, 2, 3, 4});
      geometry.pads_begin[i] = (kernel[i] - 1) - pad;
      geometry.pads_end[i] = pad;
    }
    const ValueId w = weights(graph_, type_, {out, in, kernel[0], kernel[1]},
                              in * kernel[0] * kernel[1], random_);
    const ValueId b = below(2) == 0 ? kNoValue : random_constant(graph_, {out}, random_);
    story_ << from[0] << 'x' << from[1] << 'x' << from[2] << 'x' << from[3] << " to " << out
           << " in " << geometry.groups << " groups by " << kernel[0] << 'x' << kernel[1]
           << " stride " << geometry.strides[0] << ',' << geometry.strides[1] << "; ";
    return must(graph_.add(Conv{geometry, {}}, {x, w, b}));
  }

  ValueId per_channel(ValueId x) {
    const Shape along{1, shape(x)[1], 1, 1};
    const ValueId y = binary(graph_, BinaryFn::mul, x, random_constant(graph_, along, random_));
    return binary(graph_, BinaryFn::add, y, random_constant(graph_, along, random_));
  }

  ValueId activation(ValueId x) {
    constexpr std::array kFunctions = {UnaryFn::relu, UnaryFn::silu, UnaryFn::sigmoid,
                                       UnaryFn::hard_swish, UnaryFn::tanh};
    return unary(graph_, kFunctions[static_cast<std::size_t>(below(std::ssize(kFunctions)))], x);
  }

  ValueId pooled(ValueId x) {
    story_ << "pooled; ";
    PoolGeometry pool;
    pool.kind = below(2) == 0 ? PoolKind::max : PoolKind::average_exclude_pad;
    pool.kernel = pool.strides = pool.dilations = pool.pads_begin = pool.pads_end = {1, 1};
    pool.kernel = {3, 3};
    pool.strides = {1 + below(2), 1 + below(2)};
    return must(graph_.add(Pool{pool}, {x}));
  }

  // f(x) + x, with or without functions on the way: a sum in place, or an operand of the step.
  ValueId residual(ValueId x) {
    ValueId y = convolution(x, shape(x)[1]);
    if (below(3) == 0) y = activation(y);
    if (shape(y) != shape(x)) return y;
    story_ << "added; ";
    if (below(3) == 0) y = per_channel(y);
    const ValueId sum = binary(graph_, BinaryFn::add, x, y);
    return below(2) == 0 ? sum : activation(sum);
  }

  std::mt19937 random_;
  DType type_;
  Graph graph_;
  std::ostringstream story_;
};

}  // namespace

Chain random_convolutions(unsigned seed, DType type) { return ChainGrower(seed, type).grow(); }

}  // namespace dermlens::graph::testing
