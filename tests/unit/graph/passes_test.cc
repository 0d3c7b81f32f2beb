// The passes that fold and remove, on small graphs: exactly which nodes are left.
#include "graph/passes.h"

#include <gmock/gmock.h>

#include <limits>

#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FoldConstants, ShapeArithmeticBecomesAConstant) {
  Graph graph;
  const ValueId a = graph.add_constant("a", {2}, std::vector<std::int64_t>{7, 3});
  const ValueId b = graph.add_constant("b", {}, std::vector<std::int64_t>{2});
  const ValueId y = must(graph.add(Binary{BinaryFn::div, {}}, {a, b}, "y"));
  const ValueId z = must(graph.add(Concat{0}, {y, a}, "z"));
  graph.add_output(z);
  expect_preserved(graph, fold_constants, 0);
  EXPECT_THAT(operators(graph), IsEmpty());
  EXPECT_THAT(to_integers(graph.value(z)), ElementsAre(3, 1, 7, 3));
}

TEST(FoldConstants, CastReshapeAndDequantizeOnlyChangeTheRecipe) {
  Graph graph;
  constexpr std::int64_t kRows = 2048, kColumns = 1024;
  auto bytes = std::make_shared<std::vector<std::byte>>(kRows * kColumns);
  for (std::size_t i = 0; i < bytes->size(); ++i) (*bytes)[i] = static_cast<std::byte>(i % 251);
  Constant stored;
  stored.stored_as = DType::i8;
  stored.stored = *bytes;
  stored.owner = bytes;
  const ValueId w = must(graph.add_constant("w", {DType::i8, {kRows, kColumns}}, stored));
  std::vector<float> scales(kRows);
  for (std::size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(i) / 4;
  const ValueId scale = constant(graph, {kRows}, scales);
  const ValueId y = must(graph.add(Dequantize{0}, {w, scale}));
  const ValueId z = must(graph.add(Reshape{{kRows, 32, 32}}, {y}));
  const ValueId out = must(graph.add(Cast{DType::f64}, {z}));
  graph.add_output(out);
  ASSERT_TRUE(fold_constants(graph).has_value());
  EXPECT_THAT(operators(graph), IsEmpty());
  const Constant& recipe = *graph.value(out).constant;
  EXPECT_EQ(recipe.stored.data(), bytes->data());
  EXPECT_EQ(to_floats(graph.value(out), 3, 1)[5],
            0.75f * static_cast<std::int8_t>((3 * kColumns + 5) % 251));
}

TEST(FoldConstants, LargeResultsAndLongComputationsStayNodes) {
  Graph graph;
  const ValueId one = scalar(graph, 1);
  graph.add_output(must(graph.add(Expand{{1 << 21}}, {one})));
  const ValueId row = constant(graph, {1, 1, 1 << 16}, std::vector<float>(1 << 16));
  PoolGeometry wide{PoolKind::average_include_pad, {1 << 15}, {1}, {1}, {0}, {0}};
  graph.add_output(must(graph.add(Pool{wide}, {row})));
  ASSERT_TRUE(fold_constants(graph).has_value());
  EXPECT_THAT(operators(graph), ElementsAre("Expand", "Pool"));
}

TEST(FoldConstants, TheWholeGraphHasABudget) {
  Graph graph;
  const ValueId one = scalar(graph, 1);
  for (int i = 0; i < 10; ++i) graph.add_output(must(graph.add(Expand{{1 << 20}}, {one})));
  ASSERT_TRUE(fold_constants(graph).has_value());
  EXPECT_EQ(graph.nodes().size(), 6u);
}

TEST(FoldConstants, ManyComputationsShareOneBudgetOfWork) {
  Graph graph;
  const ValueId row = constant(graph, {1, 1, 1 << 13}, std::vector<float>(1 << 13));
  const ValueId taps = constant(graph, {1, 1, 1 << 12}, std::vector<float>(1 << 12));
  for (int i = 0; i < 10; ++i)
    graph.add_output(must(graph.add(Conv{geometry(1), {}}, {row, taps, kNoValue})));
  ASSERT_TRUE(fold_constants(graph).has_value());
  EXPECT_EQ(graph.nodes().size(), 9u);
}

TEST(Simplify, WhatNoOutputNeedsIsNotComputed) {
  Graph graph;
  const ValueId zero = graph.add_constant("zero", {}, std::vector<std::int64_t>{0});
  // Computing it would fail.
  must(graph.add(Binary{BinaryFn::div, {}}, {zero, zero}, "dead"));
  graph.add_output(unary(graph, UnaryFn::relu, input(graph, "x", {4})));
  const auto done = simplify(graph);
  EXPECT_TRUE(done.has_value()) << done.error().message;
}

TEST(FoldConstants, NonsenseInAModelIsAnErrorThatNamesTheNode) {
  Graph graph;
  const ValueId a = graph.add_constant("a", {}, std::vector<std::int64_t>{0});
  graph.add_output(must(graph.add(Binary{BinaryFn::div, {}}, {a, a}, "ratio")));
  const auto done = fold_constants(graph);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, Errc::malformed);
  EXPECT_THAT(done.error().message, ::testing::HasSubstr("ratio: "));
}

struct BatchNorm {
  Graph graph;
  std::mt19937 random{5};
  ValueId x = input(graph, "x", {1, 2, 5, 5});
  ValueId y = conv(graph, x, 4, 3, random);

  ValueId per_channel(BinaryFn fn, ValueId a) {
    return binary(graph, fn, a, constant(graph, {4, 1, 1}, {2, 0.5f, -1, 4}));
  }
};

TEST(FoldBatchNorm, AChainBehindAConvolutionMovesIntoItsRecipe) {
  BatchNorm test;
  const ValueId w = test.graph.nodes()[0].inputs[1];
  const auto stored = test.graph.value(w).constant->stored.data();
  ValueId y = test.y;
  for (const BinaryFn fn : {BinaryFn::sub, BinaryFn::mul, BinaryFn::add, BinaryFn::div})
    y = test.per_channel(fn, y);
  y = unary(test.graph, UnaryFn::linear, y, 0.5f, 3);
  y = binary(test.graph, BinaryFn::sub, scalar(test.graph, 1), y);
  test.graph.add_output(y);
  expect_preserved(test.graph, fold_batch_norm, 1e-12);
  EXPECT_THAT(operators(test.graph), ElementsAre("Conv"));
  EXPECT_EQ(test.graph.value(test.graph.nodes()[0].inputs[1]).constant->stored.data(), stored);
}

TEST(FoldBatchNorm, WhatSomebodyElseReadsIsLeftAlone) {
  BatchNorm shared;
  shared.graph.add_output(shared.per_channel(BinaryFn::mul, shared.y));
  shared.graph.add_output(shared.y);
  expect_preserved(shared.graph, fold_batch_norm, 0);
  EXPECT_EQ(shared.graph.nodes().size(), 2u);
  BatchNorm twice;
  twice.graph.add_output(twice.per_channel(BinaryFn::mul, twice.y));
  twice.graph.add_output(unary(twice.graph, UnaryFn::relu, twice.y));
  expect_preserved(twice.graph, fold_batch_norm, 0);
  EXPECT_EQ(twice.graph.nodes().size(), 3u);
}

TEST(FoldBatchNorm, OtherAxesZeroDivisorsAndActivationsStay) {
  BatchNorm test;
  ValueId y = binary(test.graph, BinaryFn::mul, test.y, constant(test.graph, {5}, {1, 2, 3, 4, 5}));
  test.graph.add_output(y);
  expect_preserved(test.graph, fold_batch_norm, 0);
  EXPECT_EQ(test.graph.nodes().size(), 2u);
  BatchNorm zero;
  zero.graph.add_output(
      binary(zero.graph, BinaryFn::div, zero.y, constant(zero.graph, {4, 1, 1}, {1, 0, 1, 1})));
  ASSERT_TRUE(fold_batch_norm(zero.graph).has_value());
  EXPECT_EQ(zero.graph.nodes().size(), 2u);
}

TEST(FoldBatchNorm, ColumnsOfAMatrixProductInEitherOrientation) {
  for (const bool transposed : {false, true}) {
    Graph graph;
    std::mt19937 random(1);
    const ValueId x = input(graph, "x", {2, 5, 3});
    const ValueId w = random_constant(graph, transposed ? Shape{4, 3} : Shape{3, 4}, random);
    ValueId y = must(graph.add(MatMul{false, transposed, {}}, {x, w}));
    y = binary(graph, BinaryFn::mul, y, constant(graph, {4}, {1, 2, 4, 8}));
    graph.add_output(binary(graph, BinaryFn::add, y, constant(graph, {1, 4}, {1, 2, 3, 4})));
    expect_preserved(graph, fold_batch_norm, 1e-12);
    EXPECT_THAT(operators(graph), ElementsAre("MatMul"));
  }
}

TEST(FoldBatchNorm, AQuantizedRecipeIsScaledFurther) {
  Graph graph;
  const ValueId x = input(graph, "x", {1, 1, 4});
  Constant stored = *graph.value(graph.add_constant("w", {1}, std::vector<float>{0})).constant;
  auto bytes = std::make_shared<std::vector<std::byte>>(2, std::byte{3});
  stored.stored_as = DType::u8;
  stored.stored = *bytes;
  stored.owner = bytes;
  stored.scale = {0.5f, 2};
  stored.zero_point = {1, 2};
  const ValueId w = must(graph.add_constant("w", {DType::f32, {2, 1, 1}}, stored));
  const ValueId y = must(graph.add(Conv{geometry(1), {}}, {x, w}));
  graph.add_output(binary(graph, BinaryFn::mul, y, constant(graph, {2, 1}, {4, 8})));
  expect_preserved(graph, fold_batch_norm, 0);
  EXPECT_THAT(graph.value(graph.nodes()[0].inputs[1]).constant->scale, ElementsAre(2, 16));
}

ValueId pad(Graph& graph, ValueId x, float value = 0) {
  return must(graph.add(Pad{PadMode::constant, {0, 0, 1, 2}, {0, 0, 3, 0}, value}, {x}));
}

TEST(FoldPad, ZerosBecomeTheConvolutionsOwn) {
  Graph graph;
  std::mt19937 random(1);
  const ValueId x = input(graph, "x", {1, 2, 5, 5});
  graph.add_output(conv(graph, pad(graph, x), 3, 3, random));
  expect_preserved(graph, fold_pad, 0);
  ASSERT_TRUE(remove_dead(graph).has_value());
  EXPECT_THAT(operators(graph), ElementsAre("Conv"));
  EXPECT_EQ(std::get<Conv>(graph.nodes()[0].op).geometry.pads_end, (Shape{4, 1}));
}

TEST(FoldPad, PoolingCountsThePaddedZeros) {
  for (const PoolKind kind : {PoolKind::average_include_pad, PoolKind::average_exclude_pad}) {
    Graph graph;
    const ValueId x = input(graph, "x", {1, 2, 5, 5});
    const PoolGeometry window{kind, {4, 4}, {2, 2}, {1, 1}, {0, 0}, {0, 0}};
    graph.add_output(must(graph.add(Pool{window}, {pad(graph, x)})));
    expect_preserved(graph, fold_pad, 1e-12);
    ASSERT_TRUE(remove_dead(graph).has_value());
    EXPECT_THAT(operators(graph), ElementsAre("Pool"));
  }
}

TEST(FoldPad, ZerosThatCountStayApartFromPaddingThatDoesNot) {
  Graph graph;
  const ValueId x = input(graph, "x", {1, 2, 5, 5});
  const PoolGeometry window{PoolKind::average_exclude_pad, {4, 4}, {2, 2}, {1, 1}, {1, 1}, {0, 0}};
  graph.add_output(must(graph.add(Pool{window}, {pad(graph, x)})));
  expect_preserved(graph, fold_pad, 0);
  EXPECT_THAT(operators(graph), ElementsAre("Pad", "Pool"));
}

TEST(FoldPad, AMaximumIgnoresOnlyMinusInfinity) {
  for (const float value : {0.0f, -std::numeric_limits<float>::infinity()}) {
    Graph graph;
    const ValueId x = input(graph, "x", {1, 2, 5, 5});
    const PoolGeometry window{PoolKind::max, {4, 4}, {2, 2}, {1, 1}, {0, 0}, {0, 0}};
    graph.add_output(must(graph.add(Pool{window}, {pad(graph, x, value)})));
    expect_preserved(graph, fold_pad, 0);
    ASSERT_TRUE(remove_dead(graph).has_value());
    EXPECT_EQ(graph.nodes().size(), value == 0 ? 2u : 1u);
  }
}

TEST(FoldPad, APaddedValueThatIsAnOutputSurvives) {
  Graph graph;
  std::mt19937 random(1);
  const ValueId padded = pad(graph, input(graph, "x", {1, 2, 5, 5}));
  graph.add_output(padded);
  graph.add_output(conv(graph, padded, 3, 3, random));
  expect_preserved(
      graph, [](Graph& g) { return simplify(g); }, 0);
  EXPECT_THAT(operators(graph), ElementsAre("Pad", "Conv"));
}

TEST(FoldPad, OnesAndMirrorsAreNoPaddingOfAConvolution) {
  Graph graph;
  std::mt19937 random(1);
  const ValueId x = input(graph, "x", {1, 2, 5, 5});
  graph.add_output(conv(graph, pad(graph, x, 1), 3, 3, random));
  const ValueId mirrored =
      must(graph.add(Pad{PadMode::reflect, {0, 0, 1, 1}, {0, 0, 1, 1}, 0}, {x}));
  graph.add_output(conv(graph, mirrored, 3, 3, random));
  expect_preserved(
      graph, [](Graph& g) { return simplify(g); }, 0);
  EXPECT_EQ(graph.nodes().size(), 4u);
}

TEST(RemoveIdentities, NothingIsLeftOfWhatChangesNothing) {
  Graph graph;
  const ValueId x = input(graph, "x", {1, 2, 3});
  ValueId y = unary(graph, UnaryFn::exp, x);
  y = must(graph.add(Reshape{{1, 2, 3}}, {y}));
  y = must(graph.add(Transpose{{0, 1, 2}}, {y}));
  y = must(graph.add(Expand{{1, 2, 3}}, {y}));
  y = must(graph.add(Cast{DType::f32}, {y}));
  y = must(graph.add(Slice{{0, 0, 0}, {1, 1, 1}, {1, 2, 3}}, {y}));
  y = must(graph.add(Pad{PadMode::edge, {0, 0, 0}, {0, 0, 0}, 0}, {y}));
  y = must(graph.add(Concat{1}, {y}));
  y = must(graph.add(Reduce{ReduceFn::mean, {0}, true}, {y}));
  y = unary(graph, UnaryFn::linear, y, 1, 0);
  y = must(graph.add(Reshape{{3, 2}}, {y}));
  y = must(graph.add(Reshape{{1, 2, 3}}, {y}, "result"));
  graph.add_output(y);
  expect_preserved(
      graph, [](Graph& g) { return simplify(g); }, 0);
  EXPECT_THAT(operators(graph), ElementsAre("Unary"));
  EXPECT_EQ(graph.value(graph.nodes()[0].output).name, "result");
}

TEST(RemoveIdentities, AnOutputKeepsItsNodeWhereNobodyElseCanMakeIt) {
  Graph graph;
  const ValueId x = input(graph, "x", {2});
  const ValueId a = unary(graph, UnaryFn::exp, x);
  const ValueId b = must(graph.add(Reshape{{2}}, {a}));
  const ValueId c = must(graph.add(Reshape{{2}}, {a}));
  const ValueId d = must(graph.add(Reshape{{2}}, {x}));
  const ValueId e = unary(graph, UnaryFn::neg, a);
  for (const ValueId value : {b, c, d, e}) graph.add_output(value);
  expect_preserved(
      graph, [](Graph& g) { return simplify(g); }, 0);
  EXPECT_THAT(operators(graph), ElementsAre("Unary", "Reshape", "Reshape", "Unary"));
}

TEST(RemoveIdentities, ATransposedOperandIsTheProductsBusiness) {
  Graph graph;
  const ValueId a = input(graph, "a", {2, 3, 4}), b = input(graph, "b", {2, 5, 4});
  const ValueId bt = must(graph.add(Transpose{{0, 2, 1}}, {b}));
  graph.add_output(must(graph.add(MatMul{}, {a, bt})));
  expect_preserved(
      graph, [](Graph& g) { return simplify(g); }, 1e-12);
  EXPECT_THAT(operators(graph), ElementsAre("MatMul"));
  EXPECT_TRUE(std::get<MatMul>(graph.nodes()[0].op).transpose_b);
}

TEST(RemoveIdentities, MovingAxesOfLengthOneIsAReshape) {
  Graph graph;
  const ValueId x = input(graph, "x", {1, 1, 1, 5});
  graph.add_output(must(graph.add(Transpose{{0, 3, 1, 2}}, {x})));
  expect_preserved(graph, remove_identities, 0);
  EXPECT_THAT(operators(graph), ElementsAre("Reshape"));
}

TEST(RemoveDead, OnlyWhatAnOutputNeedsIsLeft) {
  Graph graph;
  const ValueId x = input(graph, "x", {2});
  const ValueId late = must(graph.add_input("seed", {DType::f32, {2}}, true));
  const ValueId a = unary(graph, UnaryFn::exp, x);
  const ValueId dead = unary(graph, UnaryFn::exp, a);
  unary(graph, UnaryFn::exp, dead);
  graph.add_output(unary(graph, UnaryFn::neg, a));
  expect_preserved(graph, remove_dead, 0);
  EXPECT_EQ(graph.nodes().size(), 2u);
  EXPECT_EQ(graph.inputs()[1].value, late);
  EXPECT_EQ(graph.find("seed"), late);
}

}  // namespace
}  // namespace dermlens::graph::testing
