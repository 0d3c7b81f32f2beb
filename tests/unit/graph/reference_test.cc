// The reference evaluator against numbers worked out by hand, and against itself: gradients as
// finite differences, operators as adjoint to their gradients.
#include "graph/reference.h"

#include <gmock/gmock.h>

#include <cmath>

#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Pointwise;

Tensor reals(Shape shape, std::vector<double> numbers) {
  return {{DType::f32, std::move(shape)}, std::move(numbers), {}};
}

Tensor integers(DType type, Shape shape, std::vector<std::int64_t> numbers) {
  return {{type, std::move(shape)}, {}, std::move(numbers)};
}

Result<Tensor> apply(const Op& op, const std::vector<Tensor>& operands, std::size_t absent = 0) {
  std::vector<const Tensor*> inputs;
  for (const Tensor& operand : operands) inputs.push_back(&operand);
  inputs.resize(inputs.size() + absent, nullptr);
  return evaluate(op, inputs);
}

TEST(Reference, ConvolutionWithStridePaddingAndBias) {
  const Tensor x = reals({1, 1, 4}, {1, 2, 3, 4}), w = reals({1, 1, 3}, {1, 10, 100});
  const Conv op{{{2}, {1}, {1}, {0}, 1}, {}};
  EXPECT_THAT(must(apply(op, {x, w, reals({1}, {0.5})})).reals, ElementsAre(210.5, 432.5));
  const Conv dilated{{{1}, {2}, {0}, {1}, 1}, {}};
  EXPECT_THAT(must(apply(dilated, {x, w}, 1)).reals, ElementsAre(31));
}

TEST(Reference, GroupsKeepTheirChannelsApart) {
  const Tensor x = reals({1, 2, 2}, {1, 2, 3, 4}), w = reals({4, 1, 1}, {1, 10, 100, 1000});
  const Conv op{{{1}, {1}, {0}, {0}, 2}, {}};
  EXPECT_THAT(must(apply(op, {x, w}, 1)).reals, ElementsAre(1, 2, 10, 20, 300, 400, 3000, 4000));
}

TEST(Reference, MatrixProductTransposesAndBroadcasts) {
  const Tensor a = reals({2, 3}, {1, 2, 3, 4, 5, 6}), b = reals({3, 2}, {1, 2, 3, 4, 5, 6});
  const std::vector<double> expected = {22, 28, 49, 64};
  EXPECT_EQ(must(apply(MatMul{}, {a, b}, 1)).reals, expected);
  const Tensor at = reals({3, 2}, {1, 4, 2, 5, 3, 6}), bt = reals({2, 3}, {1, 3, 5, 2, 4, 6});
  EXPECT_EQ(must(apply(MatMul{true, true, {}}, {at, bt}, 1)).reals, expected);
  const Tensor batch = reals({2, 1, 2}, {1, 0, 0, 1});
  EXPECT_THAT(
      must(apply(MatMul{}, {batch, reals({2, 2}, {1, 2, 3, 4}), reals({2}, {10, 20})})).reals,
      ElementsAre(11, 22, 13, 24));
}

TEST(Reference, PostOpsRunInOrder) {
  const PostOps post_ops = {{PostOp::Kind::unary, {UnaryFn::relu, 0, 0}},
                            {PostOp::Kind::binary_add, {}},
                            {PostOp::Kind::binary_mul, {}}};
  const Tensor a = reals({2}, {-5, 5}), b = reals({}, {1});
  EXPECT_THAT(
      must(apply(Binary{BinaryFn::add, post_ops}, {a, b, reals({}, {1}), reals({2}, {2, 3})}))
          .reals,
      ElementsAre(2, 21));
}

TEST(Reference, PoolingCountsPaddingAsAsked) {
  const Tensor x = reals({1, 1, 3}, {-1, -2, -6});
  PoolGeometry geometry{PoolKind::max, {2}, {2}, {1}, {1}, {0}};
  EXPECT_THAT(must(apply(Pool{geometry}, {x})).reals, ElementsAre(-1, -2));
  geometry.kind = PoolKind::average_include_pad;
  EXPECT_THAT(must(apply(Pool{geometry}, {x})).reals, ElementsAre(-0.5, -4));
  geometry.kind = PoolKind::average_exclude_pad;
  EXPECT_THAT(must(apply(Pool{geometry}, {x})).reals, ElementsAre(-1, -4));
}

TEST(Reference, TheFirstOfEqualMaximaTakesTheGradient) {
  const PoolGeometry geometry{PoolKind::max, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}};
  const Tensor x = reals({1, 1, 2, 2}, {1, 3, 3, 2}), dy = reals({1, 1, 1, 1}, {7});
  EXPECT_THAT(must(apply(PoolBackward{geometry}, {dy, x})).reals, ElementsAre(0, 7, 0, 0));
}

TEST(Reference, ReductionsAndSoftmax) {
  const Tensor x = reals({2, 2}, {1, 2, 3, 5});
  EXPECT_THAT(must(apply(Reduce{ReduceFn::mean, {0}, false}, {x})).reals, ElementsAre(2, 3.5));
  EXPECT_THAT(must(apply(Reduce{ReduceFn::max, {0, 1}, true}, {x})).reals, ElementsAre(5));
  EXPECT_THAT(must(apply(Reduce{ReduceFn::prod, {1}, false}, {x})).reals, ElementsAre(2, 15));
  const Tensor p = must(apply(Softmax{1, false}, {x})), l = must(apply(Softmax{1, true}, {x}));
  EXPECT_DOUBLE_EQ(p.reals[0] + p.reals[1], 1);
  EXPECT_DOUBLE_EQ(p.reals[1] / p.reals[0], std::exp(1));
  EXPECT_NEAR(std::exp(l.reals[3]), p.reals[3], 1e-15);
  const Tensor huge = reals({2}, {1e30, 1e30});
  EXPECT_THAT(must(apply(Softmax{0, false}, {huge})).reals, ElementsAre(0.5, 0.5));
}

TEST(Reference, MovesPutEveryElementInItsPlace) {
  const Tensor x = reals({2, 3}, {0, 1, 2, 3, 4, 5});
  EXPECT_THAT(must(apply(Transpose{{1, 0}}, {x})).reals, ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(must(apply(Slice{{1, 2}, {1, -2}, {1, 2}}, {x})).reals, ElementsAre(5, 3));
  EXPECT_THAT(
      must(apply(SliceBackward{{{1, 2}, {1, -2}, {1, 2}}, {2, 3}}, {reals({1, 2}, {5, 3})})).reals,
      ElementsAre(0, 0, 0, 3, 0, 5));
  EXPECT_THAT(must(apply(Expand{{2, 2}}, {reals({2, 1}, {1, 2})})).reals, ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(must(apply(Concat{1}, {x, reals({2, 1}, {8, 9})})).reals,
              ElementsAre(0, 1, 2, 8, 3, 4, 5, 9));
  EXPECT_THAT(must(apply(Gather{1}, {x, integers(DType::i64, {2}, {2, -3})})).reals,
              ElementsAre(2, 0, 5, 3));
  EXPECT_THAT(must(apply(Where{}, {integers(DType::boolean, {2}, {1, 0}), reals({}, {1}),
                                   reals({2}, {8, 9})}))
                  .reals,
              ElementsAre(1, 9));
}

TEST(Reference, PaddingModes) {
  const Tensor x = reals({3}, {1, 2, 3});
  const auto padded = [&](PadMode mode, std::int64_t begin, std::int64_t end) {
    return must(apply(Pad{mode, {begin}, {end}, 9}, {x})).reals;
  };
  EXPECT_THAT(padded(PadMode::constant, 1, 2), ElementsAre(9, 1, 2, 3, 9, 9));
  EXPECT_THAT(padded(PadMode::reflect, 2, 1), ElementsAre(3, 2, 1, 2, 3, 2));
  EXPECT_THAT(padded(PadMode::edge, 1, 2), ElementsAre(1, 1, 2, 3, 3, 3));
  EXPECT_THAT(padded(PadMode::constant, -1, 1), ElementsAre(2, 3, 9));
}

TEST(Reference, IntegersTruncateWrapAndRefuseToDivideByZero) {
  const Tensor a = integers(DType::i64, {3}, {7, -7, INT64_MIN}), b = integers(DType::i64, {}, {2});
  const auto with = [&](BinaryFn fn, const Tensor& right) {
    return apply(Binary{fn, {}}, {a, right});
  };
  EXPECT_THAT(must(with(BinaryFn::div, b)).integers, ElementsAre(3, -3, INT64_MIN / 2));
  EXPECT_THAT(must(with(BinaryFn::mod, b)).integers, ElementsAre(1, 1, 0));
  EXPECT_THAT(must(with(BinaryFn::pow, b)).integers, ElementsAre(49, 49, 0));
  EXPECT_THAT(must(with(BinaryFn::div, integers(DType::i64, {}, {-1}))).integers,
              ElementsAre(-7, 7, INT64_MIN));
  const auto none = with(BinaryFn::div, integers(DType::i64, {}, {0}));
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, Errc::malformed);
  EXPECT_THAT(must(apply(Cast{DType::u8}, {reals({3}, {-1, 257.9, NAN})})).integers,
              ElementsAre(255, 1, 0));
  EXPECT_THAT(must(with(BinaryFn::less, b)).integers, ElementsAre(0, 1, 1));
}

TEST(Reference, QuantizationRoundsHalfToEvenAndSaturates) {
  const Tensor x = reals({6}, {0.5, 1.5, 2.5, -0.5, 1000, -1000});
  const Tensor zero = integers(DType::i8, {}, {1});
  const Tensor q = must(apply(Quantize{0, DType::i8}, {x, reals({}, {1}), zero}));
  EXPECT_THAT(q.integers, ElementsAre(1, 3, 3, 1, 127, -128));
  EXPECT_THAT(must(apply(Dequantize{0}, {q, reals({}, {0.5}), zero})).reals,
              ElementsAre(0, 1, 1, 0, 63, -64.5));
  const Tensor columns = reals({2, 2}, {1, 1, 2, 2});
  EXPECT_THAT(must(apply(Quantize{1, DType::u8}, {columns, reals({2}, {1, 0.5})}, 1)).integers,
              ElementsAre(1, 2, 2, 4));
}

TEST(Reference, ATensorMustHoldItsElements) {
  Tensor x = reals({3}, {1, 2});
  EXPECT_EQ(apply(Unary{}, {x}).error().code, Errc::malformed);
  const Tensor index = integers(DType::i64, {}, {3});
  EXPECT_FALSE(apply(Gather{0}, {reals({3}, {1, 2, 3}), index}).has_value());
}

class Derivatives : public ::testing::TestWithParam<int> {};

TEST_P(Derivatives, AreTheLimitsOfDifferences) {
  const auto fn = static_cast<UnaryFn>(GetParam());
  const Unary op{fn, fn == UnaryFn::power ? 3.0f : fn == UnaryFn::clip ? -0.4f : 0.3f, 0.6f};
  constexpr double kStep = 1e-6;
  const bool positive = fn == UnaryFn::log || fn == UnaryFn::sqrt || fn == UnaryFn::reciprocal;
  for (const double x : {-4.3, -1.7, -0.21, 0.37, 0.9, 2.2, 5.1}) {
    if (positive && x < 0) continue;
    const double slope = (evaluate(op, x + kStep) - evaluate(op, x - kStep)) / (2 * kStep);
    EXPECT_NEAR(derivative(op, x), slope, 1e-7 * std::max(1.0, std::abs(slope)))
        << to_string(fn) << " at " << x;
  }
}

INSTANTIATE_TEST_SUITE_P(AllFunctions, Derivatives,
                         ::testing::Range(0, static_cast<int>(UnaryFn::logical_not)));

// <A x, y> = <x, A* y> for the linear operators and their gradients.
TEST(Reference, GradientsOfLinearOperatorsAreTheirAdjoints) {
  std::mt19937 random(3);
  const auto dot = [](const Tensor& a, const Tensor& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.reals.size(); ++i) sum += a.reals[i] * b.reals[i];
    return sum;
  };
  const Tensor x = random_tensor({DType::f32, {2, 4, 7, 6}}, random);
  const Tensor w = random_tensor({DType::f32, {6, 2, 3, 2}}, random);
  const ConvGeometry geometry{{2, 1}, {1, 2}, {1, 0}, {2, 1}, 2};
  const Tensor y = must(apply(Conv{geometry, {}}, {x, w}, 1));
  const Tensor dy = random_tensor(y.type, random);
  const Tensor dx = must(apply(ConvBackwardData{geometry, x.type.shape}, {dy, w}));
  EXPECT_NEAR(dot(y, dy), dot(x, dx), 1e-9);
  for (const PoolKind kind :
       {PoolKind::max, PoolKind::average_include_pad, PoolKind::average_exclude_pad}) {
    const PoolGeometry window{kind, {3, 2}, {2, 2}, {1, 2}, {1, 1}, {1, 0}};
    const Tensor pooled = must(apply(Pool{window}, {x}));
    const Tensor seed = random_tensor(pooled.type, random);
    EXPECT_NEAR(dot(pooled, seed), dot(x, must(apply(PoolBackward{window}, {seed, x}))), 1e-9);
  }
}

TEST(Reference, AGraphGivesEveryValueAskedFor) {
  Graph graph;
  const ValueId x = input(graph, "x", {2});
  const ValueId c = scalar(graph, 3);
  const ValueId y = binary(graph, BinaryFn::mul, x, c), z = unary(graph, UnaryFn::neg, y);
  const std::vector<Tensor> inputs = {reals({2}, {1, 2})};
  const auto values = must(evaluate(graph, inputs, std::vector<ValueId>{z, c, x, y, z}));
  EXPECT_THAT(values[0].reals, ElementsAre(-3, -6));
  EXPECT_THAT(values[1].reals, ElementsAre(3));
  EXPECT_THAT(values[2].reals, ElementsAre(1, 2));
  EXPECT_THAT(values[3].reals, ElementsAre(3, 6));
  EXPECT_THAT(values[4].reals, ElementsAre(-3, -6));
  EXPECT_FALSE(evaluate(graph, {}, std::vector<ValueId>{z}).has_value());
}

}  // namespace
}  // namespace dermlens::graph::testing
