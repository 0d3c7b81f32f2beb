// Whatever operators are put together, the backward pass is the derivative: 300 random graphs from
// fixed seeds against central differences in double precision.
#include "property/gradients/random_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace dermlens::grad {
namespace {

using namespace graph;

constexpr std::uint32_t kGraphs = 300;
constexpr int kGrowths = 12;

RandomGraph grown(std::uint32_t seed) {
  RandomGraph random(seed);
  for (int i = 0; i < kGrowths; ++i) random.grow();
  return random;
}

TEST(RandomGraphs, HaveGradientsThatAgreeWithDifferences) {
  std::size_t compared = 0, kinks = 0;
  for (std::uint32_t seed = 0; seed < kGraphs; ++seed) {
    RandomGraph random = grown(seed);
    const Agreement agreement = random.check.compare(random.values.back(), random.targets);
    EXPECT_LE(agreement.worst, 1e-5) << "seed " << seed << ", " << agreement.place;
    compared += agreement.compared;
    kinks += agreement.kinks;
  }
  EXPECT_GT(compared, 10000U);
  EXPECT_LT(kinks, compared / 50);
}

TEST(RandomGraphs, AreDifferentiatedWithoutUselessNodes) {
  for (std::uint32_t seed = 0; seed < kGraphs; ++seed) {
    RandomGraph random = grown(seed);
    Graph& graph = random.check.graph;
    const std::size_t forward = graph.nodes().size();
    const auto backward = append_backward(graph, random.values.back(), random.targets);
    ASSERT_TRUE(backward) << backward.error().message;
    const auto users = graph.users();
    for (const Node& node : graph.nodes().subspan(forward)) {
      const Value& made = graph.value(node.output);
      EXPECT_TRUE(graph.is_output(node.output) || !users[node.output].empty()) << made.name;
      if (std::holds_alternative<Expand>(node.op) || std::holds_alternative<Reshape>(node.op)) {
        EXPECT_NE(made.type, graph.value(node.inputs[0]).type) << made.name;
      }
      const bool all_constant = std::ranges::all_of(
          node.inputs, [&](ValueId id) { return id == kNoValue || graph.is_constant(id); });
      EXPECT_TRUE(!all_constant || graph.is_output(node.output)) << made.name;
    }
  }
}

// The generator itself: a graph of few kinds of operators would prove little.
TEST(RandomGraphs, UseEveryOperatorThatHasADerivative) {
  std::set<std::string_view> seen;
  for (std::uint32_t seed = 0; seed < kGraphs; ++seed)
    for (const Node& node : grown(seed).check.graph.nodes()) seen.insert(name_of(node.op));
  for (const std::string_view name : {"Conv", "ConvBackwardData", "MatMul", "Unary", "Binary",
                                      "Reduce", "Pool", "Softmax", "Transpose", "Reshape", "Expand",
                                      "Slice", "SliceBackward", "Concat", "Pad", "Gather", "Where"})
    EXPECT_TRUE(seen.contains(name)) << name;
}

}  // namespace
}  // namespace dermlens::grad
