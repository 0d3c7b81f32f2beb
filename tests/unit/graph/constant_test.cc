// Constants by recipe: every storage type, unaligned, scaled along any axis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "graph/graph.h"

namespace dermlens::graph {
namespace {

using ::testing::ElementsAre;

// The numbers' bytes at an odd address.
template <class Number>
Constant unaligned(const std::vector<Number>& numbers, DType type) {
  const std::size_t bytes = numbers.size() * sizeof(Number);
  auto buffer = std::make_shared<std::vector<std::byte>>(bytes + 1);
  std::memcpy(buffer->data() + 1, numbers.data(), bytes);
  Constant constant;
  constant.stored_as = type;
  constant.stored = ByteView(*buffer).subspan(1);
  constant.owner = buffer;
  return constant;
}

Value value_of(Constant constant, Shape shape, DType type = DType::f32) {
  Graph graph;
  const auto id = graph.add_constant("w", {type, std::move(shape)}, std::move(constant));
  EXPECT_TRUE(id.has_value());
  return graph.value(*id);
}

template <class Number>
std::vector<float> read(const std::vector<Number>& numbers, DType type) {
  return to_floats(value_of(unaligned(numbers, type), {static_cast<std::int64_t>(numbers.size())}));
}

TEST(Constant, EveryStorageTypeReadsAsFloats) {
  EXPECT_THAT(read<float>({1.5f, -2}, DType::f32), ElementsAre(1.5f, -2));
  EXPECT_THAT(read<double>({1.5, -2}, DType::f64), ElementsAre(1.5f, -2));
  EXPECT_THAT(read<std::uint16_t>({0x3fc0, 0xc000}, DType::bf16), ElementsAre(1.5f, -2));
  EXPECT_THAT(read<std::int8_t>({-128, 127}, DType::i8), ElementsAre(-128, 127));
  EXPECT_THAT(read<std::uint8_t>({0, 255}, DType::u8), ElementsAre(0, 255));
  EXPECT_THAT(read<std::int32_t>({-70000, 70000}, DType::i32), ElementsAre(-70000, 70000));
  EXPECT_THAT(read<std::int64_t>({-1, 1}, DType::i64), ElementsAre(-1, 1));
  EXPECT_THAT(read<std::uint8_t>({0, 2}, DType::boolean), ElementsAre(0, 1));
}

// The definition of IEEE 754 binary16.
double half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Constant, EveryHalfReadsExactly) {
  std::vector<std::uint16_t> halves(1 << 16);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  const std::vector<float> floats = read(halves, DType::f16);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const double expected = half(halves[i]);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(floats[i])) << i;
    } else {
      EXPECT_EQ(floats[i], expected) << i;
      EXPECT_EQ(std::signbit(floats[i]), std::signbit(expected)) << i;
    }
  }
}

TEST(Constant, RecipeFollowsItsAxis) {
  const Shape shape = {2, 3, 2};
  std::vector<std::int8_t> stored(12);
  for (std::size_t i = 0; i < stored.size(); ++i) stored[i] = static_cast<std::int8_t>(i);
  for (const std::size_t axis : {0u, 1u, 2u}) {
    Constant constant = unaligned(stored, DType::i8);
    constant.axis = axis;
    for (std::int64_t c = 0; c < shape[axis]; ++c) {
      constant.scale.push_back(0.5f + static_cast<float>(c));
      constant.zero_point.push_back(static_cast<float>(2 * c));
    }
    const Value value = value_of(constant, shape);
    const std::vector<float> floats = to_floats(value);
    for (std::size_t i = 0; i < floats.size(); ++i) {
      const std::size_t c = axis == 0 ? i / 6 : axis == 1 ? i / 2 % 3 : i % 2;
      EXPECT_EQ(floats[i], (static_cast<float>(i) - constant.zero_point[c]) * constant.scale[c]);
    }
    EXPECT_EQ(to_floats(value, 1, 1), std::vector<float>(floats.begin() + 6, floats.end()));
  }
}

TEST(Constant, OneNumberScalesAll) {
  Constant constant = unaligned<std::uint8_t>({1, 2, 3, 4}, DType::u8);
  constant.scale = {0.5f};
  constant.zero_point = {1};
  EXPECT_THAT(to_floats(value_of(constant, {2, 2})), ElementsAre(0, 0.5f, 1, 1.5f));
}

TEST(Constant, RowsOfALargeOneAreThoseOfTheWhole) {
  std::vector<std::uint16_t> halves(70 * 300);
  for (std::size_t i = 0; i < halves.size(); ++i)
    halves[i] = static_cast<std::uint16_t>(0x3000 + i % 2000);
  Constant constant = unaligned(halves, DType::f16);
  constant.axis = 1;
  for (int c = 0; c < 300; ++c) constant.scale.push_back(static_cast<float>(c));
  const Value value = value_of(constant, {70, 300});
  const std::vector<float> whole = to_floats(value);
  std::vector<float> part(33 * 300);
  read_rows(value, 19, 33, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 19 * 300));
}

TEST(Constant, ScalarsAndEmptyOnesAreRead) {
  EXPECT_THAT(to_floats(value_of(unaligned<float>({7}, DType::f32), {})), ElementsAre(7));
  EXPECT_TRUE(to_floats(value_of(unaligned<float>({}, DType::f32), {0, 3})).empty());
  EXPECT_TRUE(to_integers(value_of(unaligned<float>({}, DType::f32), {3, 0})).empty());
}

TEST(Constant, IntegersAreExactAndFloatsTruncateAndSaturate) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  const auto stored = unaligned<std::int64_t>({kMost, kLeast, -1}, DType::i64);
  EXPECT_THAT(to_integers(value_of(stored, {3}, DType::i64)), ElementsAre(kMost, kLeast, -1));
  const auto floats = unaligned<float>({1.9f, -1.9f, 1e30f, -INFINITY, NAN}, DType::f32);
  EXPECT_THAT(to_integers(value_of(floats, {5})), ElementsAre(1, -1, kMost, kLeast, 0));
}

TEST(Constant, BytesMustFitTheShape) {
  Graph graph;
  const auto add = [&](Constant constant, Shape shape) {
    return graph.add_constant("w", {DType::f32, std::move(shape)}, std::move(constant));
  };
  EXPECT_EQ(add(unaligned<float>({1, 2}, DType::f32), {3}).error().code, Errc::malformed);
  EXPECT_EQ(add(unaligned<float>({1, 2}, DType::f32), {-2}).error().code, Errc::malformed);
  EXPECT_EQ(add({}, {std::int64_t{1} << 60}).error().code, Errc::too_large);
  Constant wrong = unaligned<float>({1, 2}, DType::f32);
  wrong.scale = {1, 2, 3};
  EXPECT_EQ(add(wrong, {2}).error().code, Errc::malformed);
  wrong.scale = {1, 2};
  wrong.axis = 7;
  EXPECT_EQ(add(wrong, {2}).error().code, Errc::malformed);
}

}  // namespace
}  // namespace dermlens::graph
