#include <gtest/gtest.h>

#include <cmath>

#include "unit/grad/gradient_check.h"

namespace dermlens::grad {
namespace {

using namespace graph;

struct UnaryCase {
  Unary op;
  double low, high;
};

class SmoothUnary : public testing::TestWithParam<UnaryCase> {};

TEST_P(SmoothUnary, AgreesWithDifferences) {
  GradientCheck check;
  const ValueId x = check.input({3, 7}, GetParam().low, GetParam().high, {-3, -1, 0, 1, 3, 6});
  check.expect_gradients(check.add(GetParam().op, {x}), {x});
}

INSTANTIATE_TEST_SUITE_P(
    Functions, SmoothUnary,
    testing::Values(
        UnaryCase{{UnaryFn::relu, 0, 0}, -2, 2}, UnaryCase{{UnaryFn::clip, -1, 1}, -2, 2},
        UnaryCase{{UnaryFn::clip, 0, 6}, -2, 8}, UnaryCase{{UnaryFn::sigmoid, 0, 0}, -4, 4},
        UnaryCase{{UnaryFn::tanh, 0, 0}, -2, 2}, UnaryCase{{UnaryFn::silu, 0, 0}, -4, 4},
        UnaryCase{{UnaryFn::hard_sigmoid, 1.0F / 6, 0.5F}, -4.1, 4.3},
        UnaryCase{{UnaryFn::hard_sigmoid, 0.25F, 0.5F}, -1.9, 1.9},
        UnaryCase{{UnaryFn::hard_swish, 0, 0}, -4.1, 4.3},
        UnaryCase{{UnaryFn::gelu_erf, 0, 0}, -3, 3}, UnaryCase{{UnaryFn::gelu_tanh, 0, 0}, -3, 3},
        UnaryCase{{UnaryFn::erf, 0, 0}, -2, 2}, UnaryCase{{UnaryFn::exp, 0, 0}, -2, 2},
        UnaryCase{{UnaryFn::log, 0, 0}, 0.2, 4}, UnaryCase{{UnaryFn::sqrt, 0, 0}, 0.2, 4},
        UnaryCase{{UnaryFn::reciprocal, 0, 0}, 0.3, 3}, UnaryCase{{UnaryFn::abs, 0, 0}, -2, 2},
        UnaryCase{{UnaryFn::neg, 0, 0}, -2, 2}, UnaryCase{{UnaryFn::elu, 0.7F, 0}, -3, 3},
        UnaryCase{{UnaryFn::leaky_relu, 0.1F, 0}, -2, 2},
        UnaryCase{{UnaryFn::softplus, 0, 0}, -4, 4}, UnaryCase{{UnaryFn::linear, -2.5F, 3}, -2, 2},
        UnaryCase{{UnaryFn::linear, 0, 3}, -2, 2}, UnaryCase{{UnaryFn::power, 2, 0}, -2, 2},
        UnaryCase{{UnaryFn::power, 3, 0}, -2, 2}, UnaryCase{{UnaryFn::power, 0.5F, 0}, 0.2, 3},
        UnaryCase{{UnaryFn::power, -1, 0}, 0.4, 3}, UnaryCase{{UnaryFn::power, 0, 0}, -2, 2},
        UnaryCase{{UnaryFn::power, 1, 0}, -2, 2}, UnaryCase{{UnaryFn::floor, 0, 0}, 0.05, 0.95},
        UnaryCase{{UnaryFn::ceil, 0, 0}, 0.05, 0.95}, UnaryCase{{UnaryFn::round, 0, 0}, 0.55, 1.45},
        UnaryCase{{UnaryFn::sign, 0, 0}, -2, 2}));

TEST(UnaryGradient, FollowsPyTorchAtKinks) {
  const auto at = [](const Op& op, std::vector<double> x) {
    GradientCheck check;
    const std::vector<double> seed(x.size(), 1);
    const ValueId input = check.input_of({static_cast<std::int64_t>(x.size())}, x);
    return check.gradients(check.add(op, {input}), {input}, seed)[0];
  };
  EXPECT_EQ(at(unary(UnaryFn::relu), {0}), std::vector<double>{0});
  EXPECT_EQ(at(unary(UnaryFn::clip, -1, 1), {-1, 1}), (std::vector<double>{1, 1}));
  EXPECT_EQ(at(unary(UnaryFn::abs), {0}), std::vector<double>{0});
}

TEST(UnaryGradient, OfANormIsZeroAtAVectorOfZeros) {
  GradientCheck check;
  const ValueId x = check.input_of({2, 2}, {0, 0, 3, 4});
  const ValueId square = check.add(binary(BinaryFn::mul), {x, x});
  const ValueId sum = check.add(reduce(ReduceFn::sum, {1}), {square});
  const ValueId norm = check.add(unary(UnaryFn::sqrt), {sum});
  // Also where nothing comes back to it: infinity times 0 is no number.
  for (const std::vector<double>& seed : {std::vector<double>{1, 1}, std::vector<double>{0, 1}}) {
    const std::vector<double> found = check.gradients(norm, {x}, seed)[0];
    EXPECT_EQ(found[0], 0);
    EXPECT_EQ(found[1], 0);
    EXPECT_NEAR(found[2], 0.6, 1e-12);
    EXPECT_NEAR(found[3], 0.8, 1e-12);
  }
}

TEST(UnaryGradient, OfSteppedFunctionsTakesNoNodesButThoseOfZero) {
  GradientCheck check;
  const ValueId x = check.input({2, 2});
  for (const UnaryFn fn : {UnaryFn::floor, UnaryFn::ceil, UnaryFn::round, UnaryFn::sign})
    EXPECT_EQ(check.backward_nodes(check.add(unary(fn), {x}), {x}), "Expand");
}

TEST(UnaryGradient, OfLinearIsOneFactor) {
  GradientCheck check;
  const ValueId x = check.input({2, 2});
  EXPECT_EQ(check.backward_nodes(check.add(unary(UnaryFn::linear, 2, 1), {x}), {x}), "Unary");
  EXPECT_EQ(check.backward_nodes(check.add(unary(UnaryFn::neg), {x}), {x}), "Unary");
}

struct BinaryCase {
  BinaryFn fn;
  Shape a, b;
};

class SmoothBinary : public testing::TestWithParam<BinaryCase> {};

TEST_P(SmoothBinary, AgreesWithDifferences) {
  const auto& [fn, shape_a, shape_b] = GetParam();
  const bool positive = fn == BinaryFn::div || fn == BinaryFn::pow;
  GradientCheck check;
  const ValueId a = check.input(shape_a, positive ? 0.5 : -2, 2);
  const ValueId b = check.input(shape_b, positive ? 0.6 : -1.93, 1.87);
  const ValueId y = check.add(binary(fn), {a, b});
  check.expect_gradients(y, {a, b});
  check.expect_gradients(y, {a});
  check.expect_gradients(y, {b});
}

std::vector<BinaryCase> every_function_and_broadcast() {
  std::vector<BinaryCase> cases;
  for (const BinaryFn fn : {BinaryFn::add, BinaryFn::sub, BinaryFn::mul, BinaryFn::div,
                            BinaryFn::pow, BinaryFn::max, BinaryFn::min})
    for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{{2, 3, 4}, {2, 3, 4}},
                                                                   {{2, 3, 4}, {2, 3, 1}},
                                                                   {{2, 3, 4}, {4}},
                                                                   {{2, 3, 4}, {3, 1}},
                                                                   {{2, 3, 4}, {}},
                                                                   {{2, 3, 4}, {1, 1, 1, 1}},
                                                                   {{1, 3, 1}, {2, 1, 4}},
                                                                   {{3, 1}, {1, 2, 1, 4}},
                                                                   {{}, {2, 2}}})
      cases.push_back({fn, a, b});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Functions, SmoothBinary,
                         testing::ValuesIn(every_function_and_broadcast()));

TEST(BinaryGradient, OfASquareIsOneProduct) {
  GradientCheck check;
  const ValueId x = check.input({2, 3});
  const ValueId y = check.add(binary(BinaryFn::mul), {x, x});
  check.expect_gradients(y, {x});
  EXPECT_EQ(check.backward_nodes(y, {x}), "Binary Unary");
}

TEST(BinaryGradient, OfTheSameInputTwiceIsTheSum) {
  for (const BinaryFn fn : {BinaryFn::add, BinaryFn::sub, BinaryFn::div, BinaryFn::pow}) {
    GradientCheck check;
    const ValueId x = check.input({2, 3}, 0.5, 2);
    check.expect_gradients(check.add(binary(fn), {x, x}), {x});
  }
}

TEST(BinaryGradient, GivesEachSideHalfWhereMaxAndMinTie) {
  for (const BinaryFn fn : {BinaryFn::max, BinaryFn::min}) {
    GradientCheck check;
    const ValueId a = check.input_of({3}, {1, 2, 3});
    const ValueId b = check.input_of({3}, {1, 5, 0});
    const auto found = check.gradients(check.add(binary(fn), {a, b}), {a, b}, {4, 4, 4});
    const bool max = fn == BinaryFn::max;
    EXPECT_EQ(found[0], (std::vector<double>{2, max ? 0. : 4., max ? 4. : 0.}));
    EXPECT_EQ(found[1], (std::vector<double>{2, max ? 4. : 0., max ? 0. : 4.}));
  }
}

TEST(BinaryGradient, OfPowIsZeroAtExponentZeroAndAtBaseZero) {
  GradientCheck check;
  const ValueId a = check.input_of({3}, {0, 2, 0});
  const ValueId b = check.input_of({3}, {0, 0, 3});
  const auto found = check.gradients(check.add(binary(BinaryFn::pow), {a, b}), {a, b}, {1, 1, 1});
  EXPECT_EQ(found[0], (std::vector<double>{0, 0, 0}));
  EXPECT_DOUBLE_EQ(found[1][0], 0);
  EXPECT_NEAR(found[1][1], 0.6931471805599453, 1e-12);
  EXPECT_DOUBLE_EQ(found[1][2], 0);
}

TEST(BinaryGradient, OfPowWithAConstantExponentIsOneNode) {
  GradientCheck check;
  const ValueId x = check.input({2, 3}, -2, 2);
  const ValueId two = check.graph.add_constant("two", Shape{}, std::vector<float>{2});
  const ValueId zero = check.graph.add_constant("zero", Shape{}, std::vector<float>{0});
  const ValueId y = check.add(binary(BinaryFn::pow), {x, two});
  check.expect_gradients(y, {x});
  EXPECT_EQ(check.backward_nodes(y, {x}), "UnaryBackward");
  check.expect_gradients(check.add(binary(BinaryFn::pow), {x, zero}), {x});
}

TEST(BinaryGradient, OfModPassesToTheDividendOnly) {
  GradientCheck check;
  const ValueId a = check.input({2, 3}, 3.1, 3.9);
  const ValueId b = check.input_of({}, {2});
  const ValueId y = check.add(binary(BinaryFn::mod), {a, b}, "remainder");
  check.expect_gradients(y, {a});
  EXPECT_EQ(check.backward_error(y, {b}),
            "unsupported: no derivative of Binary 'remainder' with respect to its divisor");
}

TEST(WhereGradient, GoesToTheSideThatWasTaken) {
  for (const Shape& shape : {Shape{2, 3, 4}, Shape{3, 1}, Shape{}}) {
    GradientCheck check;
    const ValueId a = check.input({2, 3, 4});
    const ValueId b = check.input(shape);
    const ValueId threshold = check.constant({3, 4});
    const ValueId condition = check.add(binary(BinaryFn::less), {threshold, check.constant({4})});
    check.expect_gradients(check.add(Where{}, {condition, a, b}), {a, b});
    check.expect_gradients(check.add(Where{}, {condition, b, a}), {a, b});
  }
}

TEST(WhereGradient, DoesNotFollowTheCondition) {
  GradientCheck check;
  const ValueId x = check.input({6});
  const ValueId condition = check.add(binary(BinaryFn::less), {x, check.constant({6})});
  const ValueId y = check.add(Where{}, {condition, check.constant({6}), check.constant({6})});
  EXPECT_EQ(check.gradients(y, {x}, std::vector<double>(6, 1))[0], std::vector<double>(6, 0));
}

TEST(CastGradient, ComesBackInTheTypeOfTheInput) {
  GradientCheck check;
  const ValueId x = check.input({2, 3});
  const ValueId wide = check.add(Cast{.to = DType::f64}, {x});
  const ValueId y = check.add(Cast{.to = DType::f32}, {check.add(unary(UnaryFn::tanh), {wide})});
  // Casting to f32 rounds: compare with the analytic derivative instead of differences.
  const auto found = check.gradients(y, {x}, std::vector<double>(6, 1))[0];
  const auto numbers = check.numbers_of(x);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double tanh = std::tanh(numbers[i]);
    EXPECT_NEAR(found[i], 1 - tanh * tanh, 1e-6);
  }
}

TEST(CastGradient, StopsAtIntegers) {
  GradientCheck check;
  const ValueId x = check.input({2, 3});
  const ValueId whole = check.add(Cast{.to = DType::i64}, {x});
  const ValueId y = check.add(Cast{.to = DType::f32}, {whole});
  EXPECT_EQ(check.gradients(y, {x}, std::vector<double>(6, 1))[0], std::vector<double>(6, 0));
}

}  // namespace
}  // namespace dermlens::grad
