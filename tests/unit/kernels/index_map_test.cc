// The operators that only move elements, against the reference evaluator, element by element.
#include "kernels/index_map.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/lower.h"
#include "unit/graph/build.h"

namespace dermlens::kernels {
namespace {

using namespace graph::testing;
using graph::Graph;
using graph::PadMode;
using graph::ValueId;

// What the loop makes of the graph's only node, whose operand is the graph's only input.
std::vector<float> moved(const Graph& graph, const graph::Tensor& input) {
  const auto lowered = must(lower(graph));
  const Native* native = nullptr;
  for (const Step& step : lowered.steps)
    if (const auto* loop = std::get_if<Native>(&step.kernel)) native = loop;
  if (native == nullptr) return {};
  std::vector<float> in(input.reals.begin(), input.reals.end());
  std::vector<float> out(graph.value(graph.outputs().front()).type.elements(), -99.0F);
  std::byte* const arguments[] = {reinterpret_cast<std::byte*>(in.data()),
                                  reinterpret_cast<std::byte*>(out.data())};
  (*native)(arguments);
  return out;
}

template <class Op>
void expect_right(const Op& op, const graph::Shape& shape, std::vector<std::int64_t> indices = {}) {
  Graph graph;
  std::vector<ValueId> operands{input(graph, "x", shape)};
  if (!indices.empty())
    operands.push_back(
        graph.add_constant("i", graph::Shape{static_cast<std::int64_t>(indices.size())}, indices));
  const ValueId y = must(graph.add(op, operands));
  graph.add_output(y);
  std::mt19937 random(1);
  const auto inputs = random_inputs(graph, random);
  const ValueId outputs[] = {y};
  const auto right = must(evaluate(graph, inputs, outputs)).front();
  const std::vector<float> expected(right.reals.begin(), right.reals.end());
  EXPECT_EQ(moved(graph, inputs.front()), expected) << to_string(graph.value(y).type);
}

TEST(IndexMaps, PadAsTheReferenceDoesInEveryModeCropsIncluded) {
  for (const PadMode mode : {PadMode::constant, PadMode::edge, PadMode::reflect})
    for (std::int64_t begin = -3; begin <= 4; ++begin)
      for (std::int64_t end = -3; end <= 4; ++end) {
        if (5 + begin + end <= 0) continue;
        expect_right(graph::Pad{mode, {begin, 1}, {end, 0}, 7.0F}, {5, 3});
        expect_right(graph::Pad{mode, {0, begin}, {2, end}, 7.0F}, {4, 5});
      }
}

TEST(IndexMaps, SliceAndItsGradientAsTheReferenceDoesForwardsAndBackwards) {
  for (const std::int64_t step : {1, 2, 3, -1, -2, -3})
    for (std::int64_t start = 0; start < 7; ++start)
      for (std::int64_t size = 1; size <= 7; ++size) {
        const std::int64_t last = start + (size - 1) * step;
        if (last < 0 || last >= 7) continue;
        const graph::Slice inner{{0, start}, {1, step}, {2, size}};
        const graph::Slice outer{{start, 1}, {step, 1}, {size, 2}};
        expect_right(inner, {3, 7});
        expect_right(outer, {7, 3});
        expect_right(graph::SliceBackward{inner, {3, 7}}, {2, size});
        expect_right(graph::SliceBackward{outer, {7, 3}}, {size, 2});
      }
}

TEST(IndexMaps, ExpandAndGatherAsTheReferenceDoes) {
  expect_right(graph::Expand{{2, 3, 4}}, {1, 3, 1});
  expect_right(graph::Expand{{2, 3, 4}}, {4});
  for (const std::size_t axis : {0, 1, 2})
    expect_right(graph::Gather{axis}, {3, 3, 3}, {2, 0, -1, -3, 1, 1});
}

// A node of a hundred bytes may ask for more than the machine has; that is for the plan to refuse.
TEST(IndexMaps, ABillionElementsTakeNoMoreToDescribeThanThree) {
  constexpr std::int64_t kMany = std::int64_t{1} << 30;
  EXPECT_EQ(padded(PadMode::constant, 1, kMany, kMany).size(), 3U);
  EXPECT_EQ(padded(PadMode::edge, 1, kMany, kMany).size(), 3U);
  EXPECT_EQ(padded(PadMode::reflect, kMany, kMany - 1, kMany - 1).size(), 3U);
  const graph::Slice sparse{{5}, {3}, {kMany / 3}};
  EXPECT_EQ(sliced(sparse, 0).size(), 1U);
  EXPECT_EQ(unsliced(sparse, 0, kMany * 2).size(), 3U);
  EXPECT_EQ(expansion({1}, {kMany}).axes.front().size(), 1U);
}

}  // namespace
}  // namespace dermlens::kernels
