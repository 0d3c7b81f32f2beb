// Post-ops: what moves into the operator before it, in which order, and what must not.
#include <gmock/gmock.h>

#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

using ::testing::ElementsAre;

struct Fusing : ::testing::Test {
  Graph graph;
  std::mt19937 random{7};
  ValueId x = input(graph, "x", {1, 4, 5, 5});

  ValueId conv4(ValueId from) { return conv(graph, from, 4, 1, random); }
  ValueId act(ValueId from) { return unary(graph, UnaryFn::silu, from); }
  ValueId add(ValueId a, ValueId b) { return binary(graph, BinaryFn::add, a, b); }
  ValueId channels() { return constant(graph, {4, 1, 1}, {1, -2, 3, 0.5f}); }
  const PostOps& post_ops(std::size_t node) { return post_ops_of(graph.nodes()[node].op); }
  std::vector<PostOp::Kind> kinds(std::size_t node) {
    std::vector<PostOp::Kind> result;
    for (const PostOp& post_op : post_ops(node)) result.push_back(post_op.kind);
    return result;
  }
  void expect_nodes(std::initializer_list<std::string> names) {
    expect_preserved(graph, fuse_post_ops, 1e-12);
    EXPECT_EQ(operators(graph), std::vector<std::string>(names));
  }
};

using Kind = PostOp::Kind;

TEST_F(Fusing, AnActivationJoinsItsConvolution) {
  graph.add_output(act(conv4(x)));
  expect_nodes({"Conv"});
  EXPECT_THAT(kinds(0), ElementsAre(Kind::unary));
}

TEST_F(Fusing, ResidualSumsJoinBeforeAndAfterTheActivation) {
  const ValueId first = add(act(conv4(x)), x);
  graph.add_output(act(add(first, conv4(first))));
  expect_nodes({"Conv", "Conv"});
  EXPECT_THAT(kinds(0), ElementsAre(Kind::unary, Kind::binary_add));
  EXPECT_THAT(kinds(1), ElementsAre(Kind::binary_add, Kind::unary));
}

TEST_F(Fusing, TheLaterOfTwoBranchesTakesTheSum) {
  const ValueId shortcut = conv4(x), main = conv4(act(conv4(x)));
  graph.add_output(add(shortcut, main));
  expect_nodes({"Conv", "Conv", "Conv"});
  EXPECT_EQ(graph.nodes()[2].inputs.back(), shortcut);
}

TEST_F(Fusing, AnEarlierBranchMovesBehindTheOperandItWaitsFor) {
  const ValueId main = conv4(x);
  const ValueId other = must(graph.add(Softmax{1, false}, {x}));
  graph.add_output(add(main, other));
  expect_nodes({"Softmax", "Conv"});
}

TEST_F(Fusing, ChannelConstantsJoinAndOtherAxesDoNot) {
  ValueId y = act(conv4(x));
  y = binary(graph, BinaryFn::mul, channels(), y);
  y = add(y, channels());
  graph.add_output(add(y, constant(graph, {5}, {1, 2, 3, 4, 5})));
  expect_nodes({"Conv", "Binary"});
  EXPECT_THAT(kinds(0), ElementsAre(Kind::unary, Kind::binary_mul, Kind::binary_add));
}

TEST_F(Fusing, ABatchNormWithoutConvolutionIsOneBinary) {
  ValueId y = binary(graph, BinaryFn::mul, x, channels());
  y = add(y, channels());
  graph.add_output(unary(graph, UnaryFn::relu, y));
  expect_nodes({"Binary"});
  EXPECT_THAT(kinds(0), ElementsAre(Kind::binary_add, Kind::unary));
}

TEST_F(Fusing, AMatrixProductTakesItsColumnsConstant) {
  const ValueId a = input(graph, "a", {3, 2}), b = input(graph, "b", {2, 4});
  const ValueId y = must(graph.add(MatMul{}, {a, b}));
  graph.add_output(act(add(y, constant(graph, {4}, {1, 2, 3, 4}))));
  expect_nodes({"MatMul"});
}

TEST_F(Fusing, WhatIsAnOutputOrHasAnotherUserStays) {
  const ValueId a = conv4(x), b = conv4(x);
  graph.add_output(a);
  graph.add_output(act(a));
  graph.add_output(binary(graph, BinaryFn::mul, b, must(graph.add(Softmax{1, false}, {b}))));
  expect_nodes({"Conv", "Conv", "Unary", "Softmax", "Binary"});
}

TEST_F(Fusing, AValueAddedToItselfStays) {
  const ValueId y = conv4(x);
  graph.add_output(add(y, y));
  expect_nodes({"Conv", "Binary"});
}

TEST_F(Fusing, FunctionsWithoutAPostOpStay) {
  graph.add_output(unary(graph, UnaryFn::erf, conv4(x)));
  graph.add_output(unary(graph, UnaryFn::floor, conv4(x)));
  EXPECT_FALSE(is_post_op(UnaryFn::softplus));
  expect_nodes({"Conv", "Unary", "Conv", "Unary"});
}

TEST_F(Fusing, ABroadcastResultIsNoPlaceForAPostOp) {
  const ValueId row = input(graph, "row", {1, 4, 1, 1});
  const ValueId y = conv4(row);
  graph.add_output(add(y, x));
  expect_nodes({"Conv", "Binary"});
}

TEST_F(Fusing, TheForwardPartNeverWaitsForTheSeed) {
  const ValueId seed = must(graph.add_input("seed", {DType::f32, {1, 4, 5, 5}}, true));
  const ValueId y = conv4(x);
  const ValueId late = must(graph.add(Softmax{1, false}, {seed}));
  graph.add_output(binary(graph, BinaryFn::mul, y, late));
  expect_nodes({"Conv", "Softmax", "Binary"});
}

TEST_F(Fusing, ComparisonsAndIntegersTakeNoPostOps) {
  const ValueId i = must(graph.add_input("i", {DType::f32, {4}}));
  const ValueId n = must(graph.add(Cast{DType::i64}, {i}));
  const ValueId sum = binary(graph, BinaryFn::add, n, n);
  graph.add_output(unary(graph, UnaryFn::relu, sum));
  expect_nodes({"Cast", "Binary", "Unary"});
}

TEST_F(Fusing, TheChainOfPostOpsIsBounded) {
  ValueId y = conv4(x);
  for (int i = 0; i < 12; ++i) y = unary(graph, UnaryFn::tanh, y);
  graph.add_output(y);
  expect_preserved(graph, fuse_post_ops, 1e-12);
  EXPECT_EQ(post_ops(0).size(), 8u);
  EXPECT_EQ(graph.nodes().size(), 5u);
}

TEST_F(Fusing, TwiceIsAsOnce) {
  const ValueId y = add(act(conv4(x)), x);
  graph.add_output(y);
  expect_preserved(
      graph, [](Graph& g) { return fuse(g); }, 1e-12);
  const Op once = graph.nodes()[0].op;
  expect_preserved(
      graph, [](Graph& g) { return fuse(g); }, 1e-12);
  EXPECT_EQ(graph.nodes().size(), 1u);
  EXPECT_EQ(graph.nodes()[0].op, once);
}

}  // namespace
}  // namespace dermlens::graph::testing
