#include <gtest/gtest.h>

#include "unit/grad/gradient_check.h"

namespace dermlens::grad {
namespace {

using namespace graph;

const ConvGeometry kPointwise{{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1};
const ConvGeometry kSame3x3{{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};

TEST(Backward, AddsUpThePathsOfAResidualBlock) {
  GradientCheck check;
  const ValueId x = check.input({1, 3, 4, 4});
  const ValueId conv = check.add(Conv{kSame3x3, {}}, {x, check.constant({3, 3, 3, 3}), kNoValue});
  const ValueId act = check.add(unary(UnaryFn::silu), {conv});
  const ValueId sum = check.add(binary(BinaryFn::add), {act, x});
  const ValueId y = check.add(reduce(ReduceFn::mean, {2, 3}, false), {sum});
  check.expect_gradients(y, {x});
}

struct SqueezeExcite {
  GradientCheck check;
  ValueId x, conv, scaled, logits;
};

SqueezeExcite squeeze_excite() {
  SqueezeExcite block;
  GradientCheck& check = block.check;
  block.x = check.input({2, 4, 3, 3});
  const ValueId squeezed = check.add(reduce(ReduceFn::mean, {2, 3}), {block.x});
  const ValueId down = check.add(Conv{kPointwise, {}},
                                 {squeezed, check.constant({2, 4, 1, 1}), check.constant({2})});
  const ValueId act = check.add(unary(UnaryFn::silu), {down});
  const ValueId up =
      check.add(Conv{kPointwise, {}}, {act, check.constant({4, 2, 1, 1}), check.constant({4})});
  const ValueId gate = check.add(unary(UnaryFn::sigmoid), {up});
  block.scaled = check.add(binary(BinaryFn::mul), {block.x, gate});
  block.conv = check.add(Conv{kPointwise, {}},
                         {block.scaled, check.constant({5, 4, 1, 1}), kNoValue}, "last_conv");
  const ValueId pooled = check.add(reduce(ReduceFn::mean, {2, 3}, false),
                                   {check.add(unary(UnaryFn::silu), {block.conv})});
  block.logits = check.add(MatMul{.transpose_a = false, .transpose_b = true, .post_ops = {}},
                           {pooled, check.constant({7, 5}), check.constant({7})}, "logits");
  return block;
}

TEST(Backward, AddsUpThePathsOfASqueezeExciteBlock) {
  SqueezeExcite block = squeeze_excite();
  block.check.expect_gradients(block.logits, {block.x});
  const ValueId probabilities = block.check.add(Softmax{.axis = 1, .log = false}, {block.logits});
  block.check.expect_gradients(probabilities, {block.x});
}

TEST(Backward, KeepsTheGateOfASqueezeExciteBlockSmall) {
  SqueezeExcite block = squeeze_excite();
  // From `scaled`: dy * gate, and dy * x summed to the gate, through the two convolutions, the mean
  // scaled while it is small; it broadcasts into the sum and is never expanded.
  EXPECT_EQ(block.check.backward_nodes(block.scaled, {block.x}),
            "Binary Binary Reduce UnaryBackward ConvBackwardData UnaryBackward ConvBackwardData "
            "Unary Binary");
}

TEST(Backward, OfTheLastConvolutionIsTheTailOnly) {
  SqueezeExcite block = squeeze_excite();
  EXPECT_EQ(block.check.backward_nodes(block.logits, {block.conv}),
            "MatMul Reshape Unary Expand UnaryBackward");
}

// What an observed value upstream of another target gets must not change by asking for both.
TEST(Backward, OfSeveralTargetsEqualsThatOfEachAlone) {
  SqueezeExcite block = squeeze_excite();
  GradientCheck& check = block.check;
  const auto seed = check.random_numbers(check.elements(block.logits));
  const std::vector<ValueId> targets{block.conv, block.x, block.scaled, block.logits, block.conv};
  const auto together = check.gradients(block.logits, targets, seed);
  for (std::size_t t = 0; t < targets.size(); ++t)
    EXPECT_EQ(together[t], check.gradients(block.logits, {targets[t]}, seed)[0]) << t;
  EXPECT_EQ(together[3], seed);
}

// d/dx through an intermediate value agrees with perturbing that value.
TEST(Backward, OfAnIntermediateValueIsThatOfWhatIsAddedToIt) {
  GradientCheck check;
  const ValueId x = check.input({2, 3});
  const ValueId shift = check.input_of({2, 3}, std::vector<double>(6, 0));
  const ValueId middle =
      check.add(binary(BinaryFn::add), {check.add(unary(UnaryFn::tanh), {x}), shift}, "middle");
  const ValueId y =
      check.add(reduce(ReduceFn::sum, {1}), {check.add(unary(UnaryFn::exp), {middle})});
  check.expect_gradients(y, {shift});
  const auto found = check.gradients(y, {middle, shift}, {1, 2});
  EXPECT_EQ(found[0], found[1]);
}

TEST(Backward, IsLinearInTheSeed) {
  SqueezeExcite block = squeeze_excite();
  GradientCheck& check = block.check;
  const std::size_t size = check.elements(block.logits);
  const auto a = check.random_numbers(size), b = check.random_numbers(size);
  std::vector<double> mixed(size);
  for (std::size_t i = 0; i < size; ++i) mixed[i] = 3 * a[i] - b[i];
  const auto from_a = check.gradients(block.logits, {block.x}, a)[0];
  const auto from_b = check.gradients(block.logits, {block.x}, b)[0];
  const auto from_mixed = check.gradients(block.logits, {block.x}, mixed)[0];
  for (std::size_t i = 0; i < from_a.size(); ++i)
    EXPECT_NEAR(from_mixed[i], 3 * from_a[i] - from_b[i], 1e-12);
}

TEST(Backward, GivesZerosToWhatDoesNotInfluenceTheOutput) {
  GradientCheck check;
  const ValueId x = check.input({2, 3});
  const ValueId aside = check.input({4});
  const ValueId scalar = check.input({});
  const ValueId y = check.add(unary(UnaryFn::exp), {x});
  const ValueId after = check.add(unary(UnaryFn::neg), {y});
  const auto found = check.gradients(y, {aside, after, scalar, x}, std::vector<double>(6, 1));
  EXPECT_EQ(found[0], std::vector<double>(4, 0));
  EXPECT_EQ(found[1], std::vector<double>(6, 0));
  EXPECT_EQ(found[2], std::vector<double>(1, 0));
  EXPECT_EQ(found[3], check.numbers_of(y));
}

TEST(Backward, MarksLateSeedAndOutputsAndNamesThem) {
  SqueezeExcite block = squeeze_excite();
  Graph& graph = block.check.graph;
  const auto backward = append_backward(graph, block.logits, std::vector{block.conv, block.logits});
  ASSERT_TRUE(backward) << backward.error().message;
  const Input& seed = graph.inputs().back();
  EXPECT_EQ(seed.value, backward->seed);
  EXPECT_TRUE(seed.late);
  EXPECT_EQ(graph.value(seed.value).name, "seed:logits");
  EXPECT_EQ(graph.value(backward->gradients[0]).name, "grad:last_conv");
  EXPECT_EQ(graph.value(backward->gradients[1]).name, "grad:logits");
  for (const ValueId gradient : backward->gradients) {
    EXPECT_TRUE(graph.is_output(gradient));
    EXPECT_NE(graph.value(gradient).producer, kNoNode);
  }
}

TEST(Backward, CanBeAppendedTwice) {
  SqueezeExcite block = squeeze_excite();
  Graph& graph = block.check.graph;
  const auto first = append_backward(graph, block.logits, std::vector{block.conv});
  const auto second = append_backward(graph, block.logits, std::vector{block.x, block.conv});
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->seed, second->seed);
  EXPECT_NE(first->gradients[0], second->gradients[1]);
  EXPECT_EQ(graph.value(first->gradients[0]).name, "grad:last_conv");
  EXPECT_TRUE(verify(graph));
}

TEST(Backward, TouchesNothingBelowTheTarget) {
  GradientCheck check;
  const ValueId x = check.input({200});
  // Would be refused if it were differentiated.
  const ValueId dynamic = check.add(Cast{.to = DType::i64}, {check.input({3}, 0, 2)});
  const ValueId below = check.add(Gather{0}, {x, dynamic}, "below");
  const ValueId y = check.add(unary(UnaryFn::tanh), {below});
  EXPECT_EQ(check.backward_nodes(y, {below}), "UnaryBackward");
  EXPECT_NE(check.backward_error(y, {x}), "");
}

TEST(Backward, IgnoresWhatTheOutputDoesNotNeed) {
  GradientCheck check;
  const ValueId x = check.input({200});
  const ValueId dynamic = check.add(Cast{.to = DType::i64}, {check.input({3}, 0, 2)});
  const ValueId y = check.add(unary(UnaryFn::tanh), {x});
  check.add(Gather{0}, {x, dynamic});
  EXPECT_EQ(check.backward_nodes(y, {x}), "UnaryBackward");
}

TEST(Backward, RefusesFusedGraphsAsABugOfOurs) {
  GradientCheck check;
  const ValueId x = check.input({2, 3});
  const PostOps relu{{.kind = PostOp::Kind::unary, .unary = {UnaryFn::relu, 0, 0}}};
  const ValueId y = check.add(Binary{BinaryFn::add, relu}, {x, x}, "fused");
  EXPECT_EQ(check.backward_error(y, {x}),
            "internal: backward pass after fusion: Binary 'fused' has post-ops");
}

TEST(Backward, RefusesWhatIsNotOfAFloatingType) {
  GradientCheck check;
  const ValueId x = check.input({2, 3});
  const ValueId whole = check.add(Cast{.to = DType::i64}, {x}, "whole");
  EXPECT_EQ(check.backward_error(whole, {x}),
            "usage: gradient: the output 'whole' is not of a floating type (i64)");
  EXPECT_EQ(check.backward_error(x, {whole}),
            "usage: gradient: the target 'whole' is not of a floating type (i64)");
  EXPECT_NE(check.backward_error(x, {12345}), "");
  EXPECT_NE(check.backward_error(kNoValue, {x}), "");
}

TEST(Backward, RefusesTheDerivativeOfADerivativeByName) {
  GradientCheck check;
  const ValueId x = check.input({3});
  const ValueId dx =
      check.add(UnaryBackward{{UnaryFn::tanh, 0, 0}}, {x, check.constant({3})}, "slope");
  EXPECT_EQ(check.backward_error(dx, {x}),
            "unsupported: no derivative of UnaryBackward 'slope' with respect to its inputs: "
            "second derivatives are not computed");
}

TEST(Backward, OfHalfPrecisionValuesIsInHalfPrecision) {
  Graph graph;
  const TensorType half{DType::f16, {2, 3, 4, 4}};
  const ValueId x = graph.add_input("x", half).value();
  const ValueId tied = graph.add(binary(BinaryFn::max), {x, x}).value();
  const ValueId y = graph.add(reduce(ReduceFn::max, {2, 3}), {tied}).value();
  const ValueId aside = graph.add_input("aside", half).value();
  const auto backward = append_backward(graph, y, std::vector{x, aside});
  ASSERT_TRUE(backward) << backward.error().message;
  EXPECT_EQ(graph.value(backward->seed).type.dtype, DType::f16);
  for (const ValueId gradient : backward->gradients) EXPECT_EQ(graph.value(gradient).type, half);
  EXPECT_TRUE(verify(graph));
}

// LayerNorm as exporters write it: mean, centre, square, mean, epsilon, root, quotient.
TEST(Backward, OfALayerNormAgreesWithDifferences) {
  GradientCheck check;
  const ValueId x = check.input({2, 3, 6});
  const ValueId mean = check.add(reduce(ReduceFn::mean, {2}), {x});
  const ValueId centred = check.add(binary(BinaryFn::sub), {x, mean});
  const ValueId two = check.graph.add_constant("two", Shape{}, std::vector<float>{2});
  const ValueId square = check.add(binary(BinaryFn::pow), {centred, two});
  const ValueId variance = check.add(reduce(ReduceFn::mean, {2}), {square});
  const ValueId padded = check.add(unary(UnaryFn::linear, 1, 1e-3F), {variance});
  const ValueId deviation = check.add(unary(UnaryFn::sqrt), {padded});
  const ValueId normal = check.add(binary(BinaryFn::div), {centred, deviation});
  const ValueId scaled = check.add(binary(BinaryFn::mul), {normal, check.constant({6})});
  const ValueId y = check.add(binary(BinaryFn::add), {scaled, check.constant({6})});
  check.expect_gradients(y, {x});
  // The gradients of mean and variance broadcast into what they are added to.
  EXPECT_EQ(check.backward_nodes(y, {x}).find("Expand"), std::string::npos);
}

TEST(Backward, OfSelfAttentionAgreesWithDifferences) {
  GradientCheck check;
  const ValueId x = check.input({1, 4, 6});
  const auto project = [&] {
    const ValueId flat = check.add(MatMul{}, {x, check.constant({6, 6}), check.constant({6})});
    const ValueId heads = check.add(Reshape{{1, 4, 2, 3}}, {flat});
    return check.add(Transpose{{0, 2, 1, 3}}, {heads});
  };
  const ValueId q = project(), k = project(), v = project();
  const ValueId scores = check.add(
      MatMul{.transpose_a = false, .transpose_b = true, .post_ops = {}}, {q, k, kNoValue});
  const ValueId scaled = check.add(unary(UnaryFn::linear, 0.577F, 0), {scores});
  const ValueId weights = check.add(Softmax{.axis = 3, .log = false}, {scaled});
  const ValueId mixed = check.add(MatMul{}, {weights, v, kNoValue});
  const ValueId joined =
      check.add(Reshape{{1, 4, 6}}, {check.add(Transpose{{0, 2, 1, 3}}, {mixed})});
  const ValueId y = check.add(binary(BinaryFn::add), {joined, x});
  const ValueId token = check.add(Gather{1}, {y, check.indices({}, {0})});
  check.expect_gradients(token, {x});
}

}  // namespace
}  // namespace dermlens::grad
