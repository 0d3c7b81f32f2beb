// Convolutions in fp32, bf16 and int8 are what their definition says, on the machine's own kernels:
// single steps that oneDNN is known to get wrong, and random chains.
#include "property/kernels/convolutions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "exec/program.h"
#include "kernels/precision.h"
#include "property/kernels/engine.h"
#include "property/kernels/stored.h"
#include "property/passes/random_graph.h"
#include "unit/graph/build.h"

namespace dermlens {
namespace {

using namespace graph::testing;
using graph::BinaryFn;
using graph::DType;
using graph::Graph;
using graph::kNoValue;
using graph::Shape;
using graph::Tensor;
using graph::ValueId;

std::string name_of(const testing::TestParamInfo<DType>& type) {
  return std::string(graph::to_string(type.param));
}

// The square root of the squared differences' sum, of that of the squared numbers.
double distance(const Tensor& found, const Tensor& wanted) {
  double differences = 0, squares = 0;
  for (std::size_t i = 0; i < wanted.reals.size(); ++i) {
    const double difference = found.reals[i] - wanted.reals[i];
    if (!std::isfinite(difference)) return INFINITY;
    differences += difference * difference;
    squares += wanted.reals[i] * wanted.reals[i];
  }
  return std::sqrt(differences / std::max(squares, 1e-12));
}

// bf16 has eight bits, and an integer may be rounded to either side: a kernel that is wrong is
// further off than both.
double tolerance(DType type) { return type == DType::f32 ? 1e-4 : 0.05; }

void expect_near(const Graph& graph, DType type) {
  std::mt19937 random(1);
  const std::vector<Tensor> inputs = random_inputs(graph, random);
  const std::vector<Tensor> wanted = must(graph::evaluate(graph, inputs, graph.outputs()));
  const std::vector<Tensor> found = run_engine(graph, inputs);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    EXPECT_LE(distance(found[i], wanted[i]), tolerance(type));
}

class Convolutions : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    // Elsewhere such a model is computed in fp32, as the others are.
    if ((GetParam() == DType::bf16 && !kernels::computes_bf16()) ||
        (GetParam() == DType::i8 && !kernels::computes_integers()))
      GTEST_SKIP();
  }
  ValueId narrowed(Graph& graph, ValueId x) {
    return GetParam() == DType::i8 ? quantized(graph, x, random_) : x;
  }
  // A first convolution, so that the next finds the layout that kernels like.
  ValueId stem(Graph& graph, const Shape& shape) {
    const ValueId image = narrowed(graph, input(graph, "image", {shape[0], 5, shape[2], shape[3]}));
    const ValueId w = weights(graph, GetParam(), {shape[1], 5, 1, 1}, 5, random_);
    return narrowed(graph, must(graph.add(graph::Conv{geometry(2), {}}, {image, w, kNoValue})));
  }
  ValueId convolution(Graph& graph, ValueId x, const Shape& kernel, graph::ConvGeometry geometry) {
    const Shape& from = graph.value(x).type.shape;
    const std::int64_t in = from[1] / geometry.groups;
    const ValueId w = weights(graph, GetParam(), {from[1], in, kernel[0], kernel[1]},
                              in * kernel[0] * kernel[1], random_);
    return must(graph.add(graph::Conv{std::move(geometry), {}}, {x, w, kNoValue}));
  }

  std::mt19937 random_{5};
};

// Whatever the number of positions: some kernels write past the end where tiles are three.
TEST_P(Convolutions, OfOnePositionAddWhatCannotBeOverwritten) {
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{6, 6}, {4, 12}, {7, 7}})
    for (const std::int64_t channels : {17, 40, 64, 80, 96, 112, 128, 192}) {
      SCOPED_TRACE(testing::Message() << channels << " of " << height << 'x' << width);
      Graph graph;
      const ValueId x = stem(graph, {1, channels, height, width});
      const ValueId y = convolution(graph, x, {1, 1}, geometry(2));
      const ValueId sum = binary(graph, BinaryFn::add, unary(graph, graph::UnaryFn::silu, y), x);
      graph.add_output(unary(graph, graph::UnaryFn::relu, sum));
      expect_near(graph, GetParam());
    }
}

TEST_P(Convolutions, StrideOverWhatTheirKernelDoesNotReach) {
  using Pair = std::pair<Shape, Shape>;
  for (const auto& [kernel, strides] : {Pair{{1, 3}, {2, 2}},
                                        {{1, 5}, {2, 2}},
                                        {{2, 2}, {3, 3}},
                                        {{2, 2}, {4, 4}},
                                        {{3, 3}, {4, 4}},
                                        {{3, 1}, {2, 2}},
                                        {{1, 1}, {2, 2}},
                                        {{3, 3}, {2, 4}}})
    for (const std::int64_t channels : {33, 64, 112}) {
      SCOPED_TRACE(testing::Message() << channels << " by " << graph::to_string(kernel)
                                      << " stride " << graph::to_string(strides));
      Graph graph;
      const ValueId x = stem(graph, {1, channels, 29, 20});
      graph::ConvGeometry strided = geometry(2);
      strided.strides = strides;
      graph.add_output(convolution(graph, x, kernel, strided));
      expect_near(graph, GetParam());
    }
}

TEST_P(Convolutions, OfEachChannelAddToASinglePixel) {
  for (const std::int64_t channels : {17, 32, 33, 48, 64, 80})
    for (const std::int64_t kernel : {1, 3}) {
      SCOPED_TRACE(channels);
      Graph graph;
      const ValueId x = stem(graph, {1, channels, 1, 1});
      const ValueId y =
          convolution(graph, x, {kernel, kernel}, geometry(2, kernel / 2, 1, channels));
      graph.add_output(binary(graph, BinaryFn::add, x, y));
      expect_near(graph, GetParam());
    }
}

TEST_P(Convolutions, WiderThanTheirMapAddAsDefined) {
  for (const std::int64_t channels : {16, 32, 48})
    for (const bool full : {false, true}) {
      SCOPED_TRACE(channels);
      Graph graph;
      const ValueId x = stem(graph, {1, channels, 9, 1});
      const ValueId y = convolution(graph, x, {5, 5}, geometry(2, 2));
      const ValueId other = full ? x : random_constant(graph, {1, channels, 1, 1}, random_);
      graph.add_output(binary(graph, BinaryFn::mul, y, other));
      expect_near(graph, GetParam());
    }
}

// Where positions are a multiple of thirty, too.
TEST_P(Convolutions, OfOddChannelsAddAnother) {
  for (const std::int64_t in : {17, 33})
    for (const std::int64_t out : {17, 32, 33}) {
      SCOPED_TRACE(testing::Message() << in << " to " << out);
      Graph graph;
      const ValueId x = stem(graph, {1, in, 5, 6});
      const ValueId other = input(graph, "other", {1, out, 5, 6});
      const ValueId w = weights(graph, GetParam(), {out, in, 1, 1}, in, random_);
      const ValueId y = must(graph.add(graph::Conv{geometry(2), {}}, {x, w, kNoValue}));
      graph.add_output(binary(graph, BinaryFn::add, unary(graph, graph::UnaryFn::silu, y), other));
      expect_near(graph, GetParam());
    }
}

// There is a descriptor of this for integers, but no kernel can be made of it.
TEST_P(Convolutions, OfGroupsOfEightAddAndMultiply) {
  for (const std::int64_t channels : {24, 40, 64}) {
    SCOPED_TRACE(channels);
    Graph graph;
    const ValueId x = stem(graph, {1, channels, 9, 6});
    const ValueId y = convolution(graph, x, {1, 1}, geometry(2, 0, 1, channels / 8));
    graph.add_output(unary(graph, graph::UnaryFn::silu, binary(graph, BinaryFn::add, x, y)));
    expect_near(graph, GetParam());
  }
}

TEST_P(Convolutions, TakeABiasThatIsComputed) {
  Graph graph;
  const ValueId image = input(graph, "image", {1, 8, 6, 6});
  const ValueId bias =
      must(graph.add(graph::Reduce{graph::ReduceFn::mean, {0, 2, 3}, false}, {image}));
  const ValueId w = weights(graph, GetParam(), {8, 8, 3, 3}, 72, random_);
  graph.add_output(
      must(graph.add(graph::Conv{geometry(2, 1), {}}, {narrowed(graph, image), w, bias})));
  expect_near(graph, GetParam());
}

TEST_P(Convolutions, InRandomChainsAreAsDefined) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    const Chain chain = random_convolutions(seed, GetParam());
    SCOPED_TRACE(testing::Message() << seed << ": " << chain.story);
    expect_near(chain.graph, GetParam());
  }
}

// Products of matrices have other kernels, of the same kind.
TEST_P(Convolutions, HaveRelativesThatAreAsDefinedToo) {
  for (int i = 0; i < 200; ++i) {
    const auto size = [this](unsigned most) {
      return 1 + static_cast<std::int64_t>(random_() % most);
    };
    const Shape shape{size(3), size(40), size(96)};
    const std::int64_t columns = 2 + size(96);
    SCOPED_TRACE(testing::Message() << graph::to_string(shape) << " to " << columns);
    Graph graph;
    const ValueId x = input(graph, "x", shape);
    const ValueId other = input(graph, "other", {shape[0], shape[1], columns});
    const ValueId w = weights(graph, GetParam(), {shape[2], columns}, shape[2], random_);
    ValueId y = must(graph.add(graph::MatMul{}, {x, w, kNoValue}));
    y = binary(graph, BinaryFn::add, y, random_constant(graph, {columns}, random_));
    if (i % 2 == 0) y = unary(graph, graph::UnaryFn::gelu_erf, y);
    if (i % 3 != 0) y = binary(graph, BinaryFn::add, y, other);
    graph.add_output(y);
    expect_near(graph, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(, Convolutions, testing::Values(DType::f32, DType::bf16, DType::i8),
                         name_of);

}  // namespace
}  // namespace dermlens
