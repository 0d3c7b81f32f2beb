// Building graphs, and what the verifier catches.
#include "graph/graph.h"

#include <gmock/gmock.h>

#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// x -> relu -> a; a + a -> b; b * x -> c, the output.
struct Chain {
  Graph graph;
  ValueId x = input(graph, "x", {2, 3});
  ValueId a = must(graph.add(Unary{}, {x}, "a"));
  ValueId b = must(graph.add(Binary{}, {a, a}, "b"));
  ValueId c = must(graph.add(Binary{BinaryFn::mul, {}}, {b, x}, "c"));
  Chain() { graph.add_output(c); }
  std::vector<Node> nodes() const { return {graph.nodes().begin(), graph.nodes().end()}; }
};

TEST(Graph, NamesAreUniqueAndNeverEmpty) {
  Graph graph;
  const ValueId first = input(graph, "x", {1}), second = input(graph, "x", {1});
  const ValueId third = input(graph, "", {1});
  EXPECT_EQ(graph.value(first).name, "x");
  EXPECT_NE(graph.value(second).name, "x");
  EXPECT_FALSE(graph.value(third).name.empty());
  EXPECT_EQ(graph.find(graph.value(second).name), second);
  EXPECT_EQ(graph.find("nobody"), std::nullopt);
}

TEST(Graph, RenamingTakesTheNameFromItsHolder) {
  Chain chain;
  chain.graph.rename(chain.b, "a");
  EXPECT_EQ(chain.graph.find("a"), chain.b);
  EXPECT_NE(chain.graph.value(chain.a).name, "a");
  EXPECT_EQ(chain.graph.find("b"), std::nullopt);
  EXPECT_TRUE(verify(chain.graph).has_value());
}

TEST(Graph, AFailedNodeIsNamedAndLeavesNothing) {
  Chain chain;
  const auto failed = chain.graph.add(Reshape{{7}}, {chain.a}, "broken");
  ASSERT_FALSE(failed.has_value());
  EXPECT_THAT(failed.error().message, HasSubstr("broken: Reshape: "));
  EXPECT_EQ(chain.graph.nodes().size(), 3u);
  EXPECT_TRUE(verify(chain.graph).has_value());
}

TEST(Graph, AbsentOptionalInputsMayBeLeftOut) {
  Graph graph;
  const ValueId x = input(graph, "x", {1, 2});
  const ValueId w = constant(graph, {2, 1}, {1, 2});
  must(graph.add(MatMul{}, {x, w}));
  EXPECT_THAT(graph.nodes()[0].inputs, ElementsAre(x, w, kNoValue));
}

TEST(Graph, UsersStandInOrderAndOnce) {
  const Chain chain;
  const auto users = chain.graph.users();
  EXPECT_THAT(users[chain.x], ElementsAre(0, 2));
  EXPECT_THAT(users[chain.a], ElementsAre(1));
  EXPECT_THAT(users[chain.c], IsEmpty());
}

TEST(Graph, ValuesNobodyMentionsBecomeShells) {
  Chain chain;
  const ValueId unused = constant(chain.graph, {1}, {1});
  auto nodes = chain.nodes();
  nodes[2].inputs = {chain.a, chain.x};
  nodes.erase(nodes.begin() + 1);
  chain.graph.replace_nodes(std::move(nodes));
  EXPECT_EQ(chain.graph.find("b"), std::nullopt);
  EXPECT_FALSE(chain.graph.is_constant(unused));
  EXPECT_EQ(chain.graph.value(chain.c).producer, 1u);
  EXPECT_TRUE(verify(chain.graph).has_value());
}

void expect_broken(const Graph& graph, std::string_view says) {
  const auto sound = verify(graph);
  ASSERT_FALSE(sound.has_value());
  EXPECT_EQ(sound.error().code, Errc::internal);
  EXPECT_THAT(sound.error().message, HasSubstr(std::string(says)));
}

TEST(Verifier, AcceptsAGraphBuiltByTheRules) {
  const Chain chain;
  EXPECT_TRUE(verify(chain.graph).has_value());
}

TEST(Verifier, CatchesNodesOutOfOrder) {
  Chain chain;
  auto nodes = chain.nodes();
  std::swap(nodes[0], nodes[1]);
  chain.graph.replace_nodes(std::move(nodes));
  expect_broken(chain.graph, "not made yet");
}

TEST(Verifier, CatchesAValueMadeTwice) {
  Chain chain;
  auto nodes = chain.nodes();
  nodes.push_back(nodes[1]);
  chain.graph.replace_nodes(std::move(nodes));
  expect_broken(chain.graph, "another producer");
  Chain remade;
  nodes = remade.nodes();
  nodes[0].output = remade.x;
  remade.graph.replace_nodes(std::move(nodes));
  expect_broken(remade.graph, "another producer");
}

TEST(Verifier, CatchesAMissingInputAndAnUnknownValue) {
  Chain chain;
  auto nodes = chain.nodes();
  nodes.erase(nodes.begin());
  chain.graph.replace_nodes(std::move(nodes));
  expect_broken(chain.graph, "not made yet");
}

TEST(Verifier, CatchesAWrongType) {
  Chain chain;
  chain.graph.value(chain.b).type.shape = {3, 2};
  expect_broken(chain.graph, "type is not what the operator gives");
}

TEST(Verifier, CatchesAnOperandOutsideTheContract) {
  Chain chain;
  auto nodes = chain.nodes();
  nodes[0].op = Reshape{{7}};
  chain.graph.replace_nodes(std::move(nodes));
  expect_broken(chain.graph, "elements");
}

TEST(Verifier, CatchesAWrongProducer) {
  Chain chain;
  chain.graph.value(chain.a).producer = 2;
  expect_broken(chain.graph, "another producer");
  Chain orphan;
  orphan.graph.value(orphan.x).producer = 0;
  expect_broken(orphan.graph, "another producer");
}

TEST(Verifier, CatchesANameThatDoesNotLeadBack) {
  Chain chain;
  chain.graph.value(chain.a).name = "b";
  expect_broken(chain.graph, "not found by its name");
  Chain nameless;
  nameless.graph.value(nameless.a).name.clear();
  expect_broken(nameless.graph, "not found by its name");
}

TEST(Verifier, CatchesConstantsThatDoNotFit) {
  Graph graph;
  const ValueId id = constant(graph, {2}, {1, 2});
  graph.value(id).constant->stored = graph.value(id).constant->stored.subspan(1);
  expect_broken(graph, "bytes do not fit");
  Graph scaled;
  const ValueId other = constant(scaled, {2}, {1, 2});
  scaled.value(other).constant->scale = {1, 2, 3};
  expect_broken(scaled, "does not fit its axis");
}

TEST(Verifier, CatchesAnOutputNobodyMakes) {
  Chain chain;
  auto nodes = chain.nodes();
  nodes.pop_back();
  chain.graph.replace_nodes(std::move(nodes));
  expect_broken(chain.graph, "output is never made");
  Chain unknown;
  unknown.graph.replace_outputs({1234});
  expect_broken(unknown.graph, "output is never made");
}

}  // namespace
}  // namespace dermlens::graph::testing
