// What the machine's kernels compute, in one arena, is what the operators' definitions say: random
// graphs through the whole line, from simplify() to the session, against the reference evaluator.
#include <gtest/gtest.h>

#include <algorithm>

#include "exec/program.h"
#include "property/gradients/random_graph.h"
#include "property/kernels/channels.h"
#include "property/kernels/engine.h"
#include "property/kernels/quantized.h"
#include "property/passes/random_graph.h"
#include "unit/graph/build.h"

namespace dermlens {
namespace {

using graph::Graph;
using graph::Tensor;
using graph::ValueId;

constexpr double kFloat = 2e-4;  // single precision, through a dozen layers

void expect_as_defined(const Graph& graph, unsigned seed) {
  std::mt19937 random(seed);
  const std::vector<Tensor> inputs = graph::testing::random_inputs(graph, random);
  const auto wanted = graph::evaluate(graph, inputs, graph.outputs());
  ASSERT_TRUE(wanted.has_value()) << wanted.error().message;
  EXPECT_LE(graph::testing::difference(run_engine(graph, inputs), *wanted), kFloat);
}

// A number that lies between two steps may be rounded to either, and a convolution hands that on:
// nothing is off by more than a step, and hardly anything is off at all.
void expect_within_a_step(const Graph& graph, unsigned seed) {
  constexpr double kStep = 1.01 / 32;
  std::mt19937 random(seed);
  const std::vector<Tensor> inputs = graph::testing::random_inputs(graph, random);
  const auto wanted = graph::evaluate(graph, inputs, graph.outputs());
  ASSERT_TRUE(wanted.has_value()) << wanted.error().message;
  const std::vector<Tensor> found = run_engine(graph, inputs);
  EXPECT_LE(graph::testing::difference(found, *wanted), kStep);
  std::size_t off = 0, all = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    for (std::size_t j = 0; j < found[i].reals.size(); ++j, ++all)
      if (!(std::abs(found[i].reals[j] - (*wanted)[i].reals[j]) <
            kFloat * std::max(1.0, std::abs((*wanted)[i].reals[j]))))
        ++off;
  EXPECT_LE(off * 10, all);
}

class RandomGraphs : public testing::TestWithParam<unsigned> {};

TEST_P(RandomGraphs, OfAwkwardChannelsAreComputedAsDefined) {
  for (unsigned i = 0; i < 25; ++i) {
    SCOPED_TRACE(GetParam() * 25 + i);
    expect_as_defined(graph::testing::awkward_channels(GetParam() * 25 + i), i);
  }
}

TEST_P(RandomGraphs, OfQuantizedNetworksAreComputedAsDefined) {
  for (unsigned i = 0; i < 50; ++i) {
    SCOPED_TRACE(GetParam() * 50 + i);
    expect_within_a_step(graph::testing::quantized_network(GetParam() * 50 + i), i);
  }
}

TEST_P(RandomGraphs, OfSmallNetworksAreComputedAsDefined) {
  for (unsigned i = 0; i < 25; ++i) {
    SCOPED_TRACE(GetParam() * 25 + i);
    expect_as_defined(
        graph::testing::random_graph(GetParam() * 25 + i, graph::testing::Constants::rounded), i);
  }
}

TEST_P(RandomGraphs, OfEveryDifferentiableOperatorAreComputedAsDefined) {
  for (unsigned i = 0; i < 25; ++i) {
    SCOPED_TRACE(GetParam() * 25 + i);
    grad::RandomGraph random(GetParam() * 25 + i);
    for (int step = 0; step < 12; ++step) random.grow();
    Graph& graph = random.check.graph;
    graph.add_output(random.values[random.values.size() / 2]);
    graph.add_output(random.values.back());
    expect_as_defined(graph, i);
  }
}

// The sum cannot become part of the convolution: it is a kernel of its own, in the layout that
// groups of eight ask for, which is not the machine's widest.
TEST(Kernels, AddToAnObservedConvolutionAsDefined) {
  using namespace graph::testing;
  for (const std::int64_t channels : {8, 24, 40, 104}) {
    SCOPED_TRACE(channels);
    std::mt19937 random(7);
    Graph graph;
    const ValueId image = input(graph, "image", {1, 3, 14, 14});
    const ValueId stem = conv(graph, image, channels, 3, random);
    const ValueId weights = random_constant(graph, {channels, 8, 3, 3}, random);
    const ValueId groups = must(graph.add(graph::Conv{geometry(2, 1, 1, channels / 8), {}},
                                          {stem, weights, graph::kNoValue}));
    const ValueId start = unary(graph, graph::UnaryFn::relu, groups);
    const ValueId branch = conv(graph, start, channels, 1, random);
    graph.add_output(branch);
    const ValueId sum = binary(graph, graph::BinaryFn::add, start, branch);
    graph.add_output(unary(graph, graph::UnaryFn::relu, sum));
    expect_as_defined(graph, 1);
  }
}

// The channels' factors behind a convolution of one pixel, where the last block is not full.
TEST(Kernels, MultiplyTheChannelsOfOnePixelAsDefined) {
  using namespace graph::testing;
  for (const std::int64_t channels : {12, 24, 40}) {
    SCOPED_TRACE(channels);
    std::mt19937 random(3);
    Graph graph;
    const ValueId image = input(graph, "image", {1, channels, 1, 1});
    const ValueId weights = random_constant(graph, {channels, 1, 3, 3}, random);
    ValueId y = must(
        graph.add(graph::Conv{geometry(2, 1, 1, channels), {}}, {image, weights, graph::kNoValue}));
    y = unary(graph, graph::UnaryFn::sigmoid, y);
    for (const auto fn : {graph::BinaryFn::mul, graph::BinaryFn::add})
      y = binary(graph, fn, y, random_constant(graph, {1, channels, 1, 1}, random));
    graph.add_output(y);
    expect_as_defined(graph, 1);
  }
}

// The masks of attention are infinite: what they are added to, or chosen instead of, is not.
TEST(Kernels, AddAndChooseInfiniteConstantsAsDefined) {
  using namespace graph::testing;
  Graph graph;
  const ValueId x = input(graph, "x", {2, 3, 3});
  const ValueId mask = constant(graph, {3, 3}, {0, -INFINITY, -INFINITY, 0, 0, -INFINITY, 0, 0, 0});
  const ValueId keys = constant(graph, {3}, {0, 1, -INFINITY});
  const ValueId nothing = scalar(graph, -INFINITY);
  const ValueId positive = binary(graph, graph::BinaryFn::less, scalar(graph, -10), x);
  const ValueId factor = constant(graph, {3, 3}, {1, 2, 3, 1, 0, 2, 1, 1, 1});
  const ValueId product = must(graph.add(graph::MatMul{}, {x, factor, graph::kNoValue}));
  const std::vector<ValueId> masked = {binary(graph, graph::BinaryFn::add, x, mask),
                                       binary(graph, graph::BinaryFn::add, product, keys),
                                       binary(graph, graph::BinaryFn::add, x, nothing),
                                       binary(graph, graph::BinaryFn::max, x, nothing),
                                       must(graph.add(graph::Where{}, {positive, x, nothing}))};
  for (const ValueId value : masked) graph.add_output(value);
  graph.add_output(must(graph.add(graph::Softmax{2, false}, {masked[0]})));
  expect_as_defined(graph, 1);
}

// max(NaN, 0) is 0, and so is what comes of 0 times infinity.
TEST(Kernels, RefuseFactorsThatAreNotFiniteAndOperandsThatAreNotNumbers) {
  using namespace graph::testing;
  using graph::BinaryFn;
  const auto is_refused = [](BinaryFn fn, const graph::Shape& shape, float number) {
    Graph graph;
    const ValueId x = input(graph, "x", {1, 2, 3, 3});
    const ValueId y = binary(
        graph, fn, x, constant(graph, shape, std::vector<float>(*graph::count(shape), number)));
    graph.add_output(unary(graph, graph::UnaryFn::relu, y));
    EXPECT_TRUE(graph::simplify(graph).has_value());
    Ledger ledger(Bytes{64} << 20);
    const auto program = exec::Program::load(std::move(graph), exec::ProgramOptions(), ledger);
    return !program && program.error().code == Errc::malformed;
  };
  const std::vector<graph::Shape> shapes = {{}, {2, 1, 1}, {1, 2, 3, 3}};
  for (const graph::Shape& shape : shapes) {
    SCOPED_TRACE(shape.size());
    for (const BinaryFn fn : {BinaryFn::add, BinaryFn::sub, BinaryFn::mul, BinaryFn::max})
      EXPECT_TRUE(is_refused(fn, shape, NAN)) << graph::to_string(fn);
    EXPECT_TRUE(is_refused(BinaryFn::mul, shape, INFINITY));
    EXPECT_FALSE(is_refused(BinaryFn::add, shape, -INFINITY));
  }
}

INSTANTIATE_TEST_SUITE_P(, RandomGraphs, testing::Range(0U, 8U));

}  // namespace
}  // namespace dermlens
