// Grows a network of convolutions and what stands between them, keeping all values of rank 4.
#include "property/kernels/channels.h"

#include <array>

#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

class Grower {
 public:
  explicit Grower(unsigned seed) : random_(seed) {
    const std::int64_t batch = below(4) == 0 ? 2 : 1, size = below(5) == 0 ? 1 : 5 + below(4);
    images_.push_back(input(graph_, "image", {batch, 3, size, size}));
    images_.push_back(convolution(images_[0], channels()));
  }

  Graph grow() {
    const std::int64_t steps = 4 + below(10);
    for (std::int64_t i = 0; i < steps; ++i) images_.push_back(step());
    for (std::int64_t i = 0; i < 3; ++i) graph_.add_output(any());
    graph_.add_output(images_.back());
    return std::move(graph_);
  }

 private:
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(random_() % static_cast<unsigned>(bound));
  }
  std::int64_t channels() {
    constexpr std::array<std::int64_t, 10> kChannels = {1, 3, 8, 12, 16, 17, 24, 40, 64, 104};
    return kChannels[static_cast<std::size_t>(below(std::ssize(kChannels)))];
  }
  // Not the picture itself: it has three channels, and what it meets would be expanded.
  ValueId any() { return images_[static_cast<std::size_t>(1 + below(std::ssize(images_) - 1))]; }
  const Shape& shape(ValueId value) const { return graph_.value(value).type.shape; }

  ValueId step() {
    const ValueId x = below(4) == 0 ? any() : images_.back();
    switch (below(8)) {
      case 0:
        return convolution(x, channels());
      case 1:
        return grouped(x);
      case 2:
        return joined(x);
      case 3:
        return per_channel(x);
      case 4:
        return squeezed(x);
      case 5:
        return activation(x);
      default:
        return residual(x);
    }
  }

  // Weights that keep numbers about as large as they were.
  ValueId weights(const Shape& shape, std::int64_t terms) {
    std::uniform_real_distribution<float> range(-1, 1);
    std::vector<float> values(*count(shape));
    for (float& value : values) value = range(random_) / std::sqrt(static_cast<float>(terms) / 3);
    return constant(graph_, shape, values);
  }

  ValueId convolution(ValueId x, std::int64_t out) {
    const std::int64_t in = shape(x)[1], kernel = below(2) == 0 ? 1 : 3;
    const ValueId w = weights({out, in, kernel, kernel}, in * kernel * kernel);
    const ValueId b = below(2) == 0 ? kNoValue : random_constant(graph_, {out}, random_);
    return must(graph_.add(Conv{geometry(2, kernel / 2), {}}, {x, w, b}));
  }

  ValueId grouped(ValueId x) {
    // Groups of eight, where that is possible, have a layout of their own.
    const std::int64_t count = shape(x)[1], width = count % 8 == 0 && below(2) == 0 ? 8 : 1;
    return must(graph_.add(Conv{geometry(2, 1, 1, count / width), {}},
                           {x, weights({count, width, 3, 3}, 9 * width), kNoValue}));
  }

  ValueId joined(ValueId x) {
    const ValueId y = any();
    return must(graph_.add(Concat{1}, {x, y}));
  }

  ValueId per_channel(ValueId x) {
    const Shape along{1, shape(x)[1], 1, 1};
    const ValueId y = binary(graph_, BinaryFn::mul, x, random_constant(graph_, along, random_));
    return binary(graph_, BinaryFn::add, y, random_constant(graph_, along, random_));
  }

  ValueId squeezed(ValueId x) {
    const std::int64_t count = shape(x)[1];
    const ValueId mean = must(graph_.add(Reduce{ReduceFn::mean, {2, 3}, true}, {x}));
    const ValueId w = weights({count, count, 1, 1}, count);
    const ValueId gate = must(graph_.add(Conv{geometry(2), {}}, {mean, w, kNoValue}));
    return binary(graph_, BinaryFn::mul, x, unary(graph_, UnaryFn::sigmoid, gate));
  }

  ValueId activation(ValueId x) {
    constexpr std::array<UnaryFn, 5> kFunctions = {UnaryFn::relu, UnaryFn::silu, UnaryFn::sigmoid,
                                                   UnaryFn::hard_swish, UnaryFn::tanh};
    return unary(graph_, kFunctions[static_cast<std::size_t>(below(5))], x);
  }

  // x + f(x), with an activation behind it more often than not.
  ValueId residual(ValueId x) {
    const ValueId y = below(3) == 0 ? activation(x) : convolution(x, shape(x)[1]);
    if (below(2) == 0) graph_.add_output(y);
    const ValueId sum =
        binary(graph_, below(4) == 0 ? BinaryFn::mul : BinaryFn::add, below(2) == 0 ? x : y, y);
    return below(3) == 0 ? sum : activation(sum);
  }

  std::mt19937 random_;
  Graph graph_;
  std::vector<ValueId> images_;
};

}  // namespace

Graph awkward_channels(unsigned seed) { return Grower(seed).grow(); }

}  // namespace dermlens::graph::testing
