#include "property/kernels/stored.h"

#include <bit>
#include <cmath>
#include <memory>

#include "unit/graph/build.h"

namespace dermlens::graph::testing {

Constant stored(DType type, const std::vector<int>& numbers) {
  const auto bytes = std::make_shared<std::vector<std::byte>>();
  for (const int number : numbers) {
    bytes->push_back(static_cast<std::byte>(number & 0xFF));
    if (type == DType::bf16) bytes->push_back(static_cast<std::byte>((number >> 8) & 0xFF));
  }
  Constant constant;
  constant.stored_as = type;
  constant.stored = *bytes;
  constant.owner = bytes;
  return constant;
}

int as_bf16(float number) { return static_cast<int>(std::bit_cast<std::uint32_t>(number) >> 16); }

ValueId quantized(Graph& graph, ValueId x, std::mt19937& random) {
  const ValueId scale = scalar(graph, random() % 2 == 0 ? 1.0F / 32 : 1.0F / 64);
  const DType type = random() % 2 == 0 ? DType::i8 : DType::u8;
  const ValueId zero = must(graph.add_constant("zero", {type, {}}, stored(type, {0})));
  const ValueId q = must(graph.add(Quantize{1, type}, {x, scale, zero}));
  return must(graph.add(Dequantize{1}, {q, scale, zero}));
}

ValueId weights(Graph& graph, DType type, const Shape& shape, std::int64_t terms,
                std::mt19937& random) {
  constexpr float kMost = 127;
  const float largest = std::sqrt(3 / static_cast<float>(terms));
  std::uniform_real_distribution<float> range(-largest, largest);
  std::vector<float> values(*count(shape));
  for (float& value : values) value = range(random);
  if (type == DType::f32) return testing::constant(graph, shape, values);
  // A power of two keeps the products exact.
  const float scale = std::exp2(std::ceil(std::log2(largest / kMost)));
  std::vector<int> numbers;
  for (const float value : values)
    numbers.push_back(type == DType::bf16 ? as_bf16(value)
                                          : static_cast<int>(std::nearbyint(value / scale)));
  Constant constant = stored(type, numbers);
  if (type == DType::i8) {
    constant.zero_point = {0};
    constant.scale = {scale};
  }
  return must(graph.add_constant("weights", {DType::f32, shape}, std::move(constant)));
}

}  // namespace dermlens::graph::testing
