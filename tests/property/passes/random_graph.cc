// Grows a graph step by step from a pool of image values of rank 4; each step appends one motif.
#include "property/passes/random_graph.h"

#include <array>

#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

class Grower {
 public:
  Grower(unsigned seed, Constants constants) : random_(seed), constants_(constants) {
    const std::int64_t height = 4 + below(4), width = 4 + below(4);
    images_.push_back(input(graph_, "image", {1, 2 + 2 * below(2), height, width}));
    const Shape shape = graph_.value(images_[0]).type.shape;
    seed_ = must(graph_.add_input("seed", {DType::f32, shape}, true));
  }

  Graph grow() {
    const int steps = 3 + static_cast<int>(below(16));
    for (int i = 0; i < steps; ++i) step();
    const int others = static_cast<int>(below(4));
    for (int i = 0; i < others; ++i) graph_.add_output(any());
    if (below(3) == 0) {
      const ValueId last = images_.back();
      const ValueId start = images_.front();
      images_.push_back(same_shape(last, start) ? binary(graph_, BinaryFn::mul, last, seed_)
                                                : unary(graph_, UnaryFn::relu, seed_));
    }
    graph_.add_output(images_.back());
    return std::move(graph_);
  }

 private:
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(random_() % static_cast<unsigned>(bound));
  }
  ValueId any() { return images_[static_cast<std::size_t>(below(std::ssize(images_)))]; }
  // Mostly the newest value, so that chains grow.
  ValueId some() { return below(4) == 0 ? any() : images_.back(); }
  const Shape& shape(ValueId value) const { return graph_.value(value).type.shape; }
  bool same_shape(ValueId a, ValueId b) const { return shape(a) == shape(b); }
  void keep(ValueId value) { images_.push_back(value); }

  // Powers of two, so that products of any number of them are exact.
  ValueId scales(const Shape& shape) {
    constexpr std::array<float, 5> kScales = {0.5f, 1, 2, -1, 0.25f};
    std::vector<float> values(*count(shape));
    for (float& value : values) value = kScales[static_cast<std::size_t>(below(5))];
    return constant(graph_, shape, values);
  }

  void step() {
    switch (below(12)) {
      case 0:
      case 1:
        return keep(convolution(some()));
      case 2:
      case 3:
        return keep(batch_norm(some()));
      case 4:
      case 5:
        return keep(activation(some()));
      case 6:
        return keep(scalar_arithmetic(some()));
      case 7:
        return keep(pair(some()));
      case 8:
        return keep(padded(some()));
      case 9:
        return keep(unchanged(some()));
      case 10:
        return keep(squeeze(some()));
      default:
        return keep(product(some()));
    }
  }

  ValueId convolution(ValueId x) {
    const std::int64_t channels = shape(x)[1];
    const bool depthwise = below(3) == 0;
    const std::int64_t kernel = below(2) == 0 ? 1 : 3, groups = depthwise ? channels : 1;
    const std::int64_t out = depthwise ? channels : 2 + 2 * below(2);
    const ValueId w = random_constant(graph_, {out, channels / groups, kernel, kernel}, random_);
    const ValueId b = below(2) == 0 ? kNoValue : random_constant(graph_, {out}, random_);
    return must(graph_.add(Conv{geometry(2, kernel / 2, 1, groups), {}}, {x, w, b}));
  }

  ValueId batch_norm(ValueId x) {
    const std::int64_t channels = shape(x)[1];
    const Shape per_channel = below(2) == 0 ? Shape{channels, 1, 1} : Shape{1, channels, 1, 1};
    // Constants may themselves be the result of constant arithmetic.
    ValueId scale = scales({channels});
    scale = must(graph_.add(Reshape{per_channel}, {scale}));
    const ValueId y = below(4) == 0 ? binary(graph_, BinaryFn::div, x, scale)
                                    : binary(graph_, BinaryFn::mul, x, scale);
    const ValueId shift = random_constant(graph_, per_channel, random_);
    return below(3) == 0 ? binary(graph_, BinaryFn::sub, shift, y)
                         : binary(graph_, BinaryFn::add, y, shift);
  }

  ValueId activation(ValueId x) {
    switch (below(constants_ == Constants::exact ? 6 : 9)) {
      case 0:
        return unary(graph_, UnaryFn::relu, x);
      case 1:
        return unary(graph_, UnaryFn::clip, x, 0, 6);
      case 2:
        return unary(graph_, UnaryFn::tanh, x);
      case 3:
        return unary(graph_, UnaryFn::leaky_relu, x, 0.25f);
      case 4:
        return binary(graph_, BinaryFn::mul, x, unary(graph_, UnaryFn::sigmoid, x));
      case 5:
        return unary(graph_, UnaryFn::softplus, x);
      case 6:
        return hard_swish(x);
      case 7:
        return gelu(x);
      default:
        return binary(graph_, BinaryFn::mul, x,
                      unary(graph_, UnaryFn::hard_sigmoid, x, 1.0f / 6, 0.5f));
    }
  }

  ValueId hard_swish(ValueId x) {
    const ValueId shifted = binary(graph_, BinaryFn::add, x, scalar(graph_, 3));
    const ValueId gate = unary(graph_, UnaryFn::clip, shifted, 0, 6);
    const ValueId six = scalar(graph_, 6);
    if (below(2) == 0)
      return binary(graph_, BinaryFn::div, binary(graph_, BinaryFn::mul, gate, x), six);
    return binary(graph_, BinaryFn::mul, x, binary(graph_, BinaryFn::div, gate, six));
  }

  ValueId gelu(ValueId x) {
    const ValueId scaled = binary(graph_, BinaryFn::div, x, scalar(graph_, 1.41421354f));
    const ValueId erf = unary(graph_, UnaryFn::erf, scaled);
    const ValueId gate = binary(graph_, BinaryFn::add, erf, scalar(graph_, 1));
    const ValueId half = scalar(graph_, 0.5f);
    if (below(2) == 0)
      return binary(graph_, BinaryFn::mul, binary(graph_, BinaryFn::mul, x, gate), half);
    return binary(graph_, BinaryFn::mul, binary(graph_, BinaryFn::mul, x, half), gate);
  }

  ValueId scalar_arithmetic(ValueId x) {
    const ValueId number = scales(below(2) == 0 ? Shape{} : Shape{1, 1, 1});
    constexpr std::array<BinaryFn, 4> kFunctions = {BinaryFn::add, BinaryFn::sub, BinaryFn::mul,
                                                    BinaryFn::div};
    const BinaryFn fn = kFunctions[static_cast<std::size_t>(below(4))];
    const bool first = fn != BinaryFn::div && below(3) == 0;
    return first ? binary(graph_, fn, number, x) : binary(graph_, fn, x, number);
  }

  // A residual sum, a product, or a join with any earlier value of the same shape.
  ValueId pair(ValueId x) {
    ValueId other = any();
    for (int tries = 0; tries < 4 && !same_shape(x, other); ++tries) other = any();
    if (!same_shape(x, other)) other = x;
    switch (below(4)) {
      case 0:
        return binary(graph_, BinaryFn::mul, x, unary(graph_, UnaryFn::tanh, other));
      case 1: {
        const ValueId both = must(graph_.add(Concat{1}, {x, other}));
        const Shape& wide = shape(both);
        const Slice half{{0, wide[1] / 4, 0, 0}, {1, 2, 1, 1}, {1, shape(x)[1], wide[2], wide[3]}};
        if (wide[1] / 4 + 2 * (shape(x)[1] - 1) >= wide[1]) return both;
        return must(graph_.add(half, {both}));
      }
      default:
        return binary(graph_, BinaryFn::add, x, other);
    }
  }

  ValueId padded(ValueId x) {
    const std::int64_t begin = below(2), end = below(3);
    const Pad pad{PadMode::constant, {0, 0, begin, begin}, {0, 0, end, end}, 0};
    const ValueId y = must(graph_.add(pad, {x}));
    if (below(2) == 0) return convolution(y);
    const auto kind = static_cast<PoolKind>(below(3));
    const PoolGeometry window{kind, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    const ValueId pooled = must(graph_.add(Pool{window}, {y}));
    return shape(pooled)[2] > 9 ? x : pooled;
  }

  ValueId unchanged(ValueId x) {
    const Shape whole = shape(x);
    switch (below(6)) {
      case 0:
        return must(graph_.add(Reshape{whole}, {x}));
      case 1:
        return must(graph_.add(Transpose{{0, 1, 2, 3}}, {x}));
      case 2:
        return must(graph_.add(Expand{whole}, {x}));
      case 3:
        return must(graph_.add(Cast{DType::f32}, {x}));
      case 4:
        return must(graph_.add(Concat{1}, {x}));
      default: {
        const ValueId flat = must(graph_.add(Reshape{{whole[1], whole[2] * whole[3]}}, {x}));
        return must(graph_.add(Reshape{whole}, {flat}));
      }
    }
  }

  // Squeeze and excite: the mean of each channel gates it.
  ValueId squeeze(ValueId x) {
    const ValueId mean = must(graph_.add(Reduce{ReduceFn::mean, {2, 3}, true}, {x}));
    const std::int64_t channels = shape(x)[1];
    const ValueId w = random_constant(graph_, {channels, channels, 1, 1}, random_);
    const ValueId y = must(graph_.add(Conv{geometry(2), {}}, {mean, w}));
    const ValueId gate = unary(graph_, UnaryFn::sigmoid, y);
    return binary(graph_, BinaryFn::mul, gate, x);
  }

  // A matrix product over the last axis, its right operand transposed or not, with a bias.
  ValueId product(ValueId x) {
    const std::int64_t width = shape(x)[3];
    const bool by_node = below(2) == 0, by_flag = below(2) == 0;
    ValueId w = random_constant(graph_, {width, width}, random_);
    if (by_node) w = must(graph_.add(Transpose{{1, 0}}, {w}));
    ValueId y = must(graph_.add(MatMul{false, by_flag, {}}, {x, w}));
    if (below(2) == 0) y = binary(graph_, BinaryFn::mul, y, scales({width}));
    return binary(graph_, BinaryFn::add, y, random_constant(graph_, {width}, random_));
  }

  Graph graph_;
  std::mt19937 random_;
  Constants constants_;
  ValueId seed_ = kNoValue;
  std::vector<ValueId> images_;
};

}  // namespace

Graph random_graph(unsigned seed, Constants constants) { return Grower(seed, constants).grow(); }

}  // namespace dermlens::graph::testing
