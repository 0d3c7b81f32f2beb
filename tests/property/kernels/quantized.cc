// Grows a quantized network, keeping all values of rank 4 and their numbers about as large.
#include "property/kernels/quantized.h"

#include <array>

#include "property/kernels/stored.h"
#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

class QuantizedGrower {
 public:
  explicit QuantizedGrower(unsigned seed) : random_(seed) {
    constexpr std::array<std::int64_t, 4> kChannels = {8, 12, 16, 32};
    const std::int64_t batch = 1 + below(2), size = below(4) == 0 ? 1 : 5 + below(5);
    channels_ = kChannels[static_cast<std::size_t>(below(std::ssize(kChannels)))];
    images_.push_back(quantized(input(graph_, "image", {batch, channels_, size, size})));
  }

  Graph grow() {
    const std::int64_t blocks = 1 + below(3);
    for (std::int64_t i = 0; i < blocks; ++i) {
      const ValueId y = block();
      images_.push_back(below(3) == 0 ? y : quantized(y));
    }
    graph_.add_output(images_.back());
    return std::move(graph_);
  }

 private:
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(random_() % static_cast<unsigned>(bound));
  }
  ValueId any() { return images_[static_cast<std::size_t>(below(std::ssize(images_)))]; }

  ValueId quantized(ValueId x) { return testing::quantized(graph_, x, random_); }

  // fp32, or int8 around zero with a scale for each channel, or uint8 around another number.
  ValueId weights(const Shape& shape) {
    constexpr float kUnit = 1.0F / 512;
    const std::int64_t kind = below(4);
    std::vector<int> numbers(*count(shape));
    for (int& number : numbers) number = static_cast<int>(below(255)) - 127;
    if (kind == 0) {
      std::vector<float> values;
      for (const int number : numbers) values.push_back(static_cast<float>(number) * kUnit);
      return constant(graph_, shape, values);
    }
    Constant constant;
    if (kind == 1) {
      for (int& number : numbers) number += 127;
      constant = stored(DType::u8, numbers);
      constant.zero_point = {131};
      constant.scale = {kUnit};
    } else {
      constant = stored(DType::i8, numbers);
      constant.zero_point = {0};
      constant.scale = {kUnit};
    }
    return must(graph_.add_constant("weights", {DType::f32, shape}, std::move(constant)));
  }

  ValueId convolution(ValueId x) {
    const std::int64_t kernel = below(2) == 0 ? 1 : 3;
    const ValueId w = weights({channels_, channels_, kernel, kernel});
    const ValueId b = below(2) == 0 ? kNoValue : random_constant(graph_, {channels_}, random_);
    return must(graph_.add(Conv{geometry(2, kernel / 2), {}}, {x, w, b}));
  }

  // A batch norm: factors 0, 1/2, 1 or -1, and offsets.
  ValueId normalised(ValueId x) {
    constexpr std::array<float, 4> kFactors = {0, 0.5F, 1, -1};
    const Shape along{1, channels_, 1, 1};
    std::vector<float> factors;
    for (std::int64_t i = 0; i < channels_; ++i)
      factors.push_back(kFactors[static_cast<std::size_t>(below(4))]);
    const ValueId y = binary(graph_, BinaryFn::mul, x, constant(graph_, along, factors));
    return binary(graph_, BinaryFn::add, y, random_constant(graph_, along, random_));
  }

  ValueId activation(ValueId x, std::int64_t which) {
    constexpr std::array<UnaryFn, 6> kFunctions = {UnaryFn::relu,    UnaryFn::hard_swish,
                                                   UnaryFn::sigmoid, UnaryFn::tanh,
                                                   UnaryFn::clip,    UnaryFn::neg};
    return unary(graph_, kFunctions[static_cast<std::size_t>(which)], x, 0,
                 which == 4 ? 6.0F : 0.0F);
  }

  // f(x) beside x, joined, with the same activation on both sides of the join more often than not.
  ValueId block() {
    const ValueId x = any();
    const std::int64_t which = below(6);
    ValueId y = below(8) == 0 ? x : convolution(x);
    if (below(3) == 0) y = normalised(y);
    if (below(2) == 0) y = activation(y, which);
    const ValueId other = below(3) == 0 ? any() : x;
    if (other != y) {
      const BinaryFn join = below(3) == 0 ? BinaryFn::mul : BinaryFn::add;
      y = below(2) == 0 ? binary(graph_, join, y, other) : binary(graph_, join, other, y);
    }
    if (below(4) == 0) y = normalised(y);
    return below(3) == 0 ? y : activation(y, below(4) == 0 ? below(6) : which);
  }

  std::mt19937 random_;
  Graph graph_;
  std::int64_t channels_ = 0;
  std::vector<ValueId> images_;
};

}  // namespace

Graph quantized_network(unsigned seed) { return QuantizedGrower(seed).grow(); }

}  // namespace dermlens::graph::testing
