// Single operators and short chains through the engine give what the reference evaluator gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "exec/program.h"
#include "unit/graph/build.h"

namespace dermlens::exec {
namespace {

using graph::Graph;
using graph::Unary;
using graph::UnaryFn;
using graph::ValueId;
using namespace graph::testing;

constexpr double kTolerance = 2e-5;

const std::vector<Unary> kFunctions = {{UnaryFn::relu},
                                       {UnaryFn::leaky_relu, 0.3F},
                                       {UnaryFn::leaky_relu, 0.9F},
                                       {UnaryFn::clip, -1, 0.5F},
                                       {UnaryFn::clip, -0.25F, 1},
                                       {UnaryFn::elu, 0.3F},
                                       {UnaryFn::elu, 0.9F},
                                       {UnaryFn::hard_sigmoid, 0.3F, .5F},
                                       {UnaryFn::hard_sigmoid, 0.9F, .1F},
                                       {UnaryFn::linear, 2, 0},
                                       {UnaryFn::linear, 1, -1},
                                       {UnaryFn::neg},
                                       {UnaryFn::sigmoid},
                                       {UnaryFn::tanh},
                                       {UnaryFn::silu},
                                       {UnaryFn::hard_swish},
                                       {UnaryFn::gelu_erf},
                                       {UnaryFn::abs}};

struct Host {
  const char* name;
  ValueId (*add)(Graph& graph, ValueId x, std::mt19937& random);
};

void PrintTo(const Host& host, std::ostream* out) { *out << host.name; }

const Host kHosts[] = {
    {"Convolution",
     [](Graph& graph, ValueId x, std::mt19937& r) { return conv(graph, x, 16, 3, r); }},
    {"DepthwiseConvolution",
     [](Graph& graph, ValueId x, std::mt19937& r) {
       return must(graph.add(graph::Conv{geometry(2, 1, 1, 16), {}},
                             {x, random_constant(graph, {16, 1, 3, 3}, r), graph::kNoValue}));
     }},
    {"MatrixProduct",
     [](Graph& graph, ValueId x, std::mt19937& r) {
       return must(graph.add(graph::MatMul{}, {x, random_constant(graph, {1, 16, 6, 8}, r)}));
     }},
    {"Sum", [](Graph& graph, ValueId x, std::mt19937&) {
       return binary(graph, graph::BinaryFn::add, x,
                     graph.add_input("other", graph.value(x).type).value());
     }}};

class BehindEveryHost : public ::testing::TestWithParam<Host> {};

std::vector<graph::Tensor> by_engine(const Graph& graph, std::span<const graph::Tensor> inputs) {
  Ledger ledger(Bytes{256} << 20);
  ProgramOptions options;
  options.placement = plan::Placement::resident;
  const auto program = must(Program::load(graph, options, ledger));
  const auto session = must(Session::open(program, ledger));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    std::ranges::transform(inputs[i].reals, session->input(i).begin(),
                           [](double value) { return static_cast<float>(value); });
  EXPECT_TRUE(session->forward());
  std::vector<graph::Tensor> outputs;
  for (std::size_t i = 0; i < program->outputs().size(); ++i) {
    const auto values = session->output(i);
    outputs.push_back({program->outputs()[i].type, {values.begin(), values.end()}, {}});
  }
  return outputs;
}

// oneDNN 2.6 computes the second of two functions of one algorithm with the first's parameters.
TEST_P(BehindEveryHost, TwoFunctionsInARowAreBothComputed) {
  for (const Unary& first : kFunctions) {
    for (const Unary& second : kFunctions) {
      SCOPED_TRACE(::testing::Message() << graph::to_string(first.fn) << ' ' << first.alpha << ", "
                                        << graph::to_string(second.fn) << ' ' << second.alpha);
      std::mt19937 random(11);
      Graph graph;
      const ValueId x = input(graph, "x", {1, 16, 6, 6});
      const ValueId host = GetParam().add(graph, x, random);
      const ValueId inner = must(graph.add(first, {host}));
      const ValueId outer = must(graph.add(second, {inner}));
      graph.add_output(outer);
      const auto inputs = random_inputs(graph, random);
      ASSERT_LE(
          difference(by_engine(graph, inputs), must(graph::evaluate(graph, inputs, {{outer}}))),
          kTolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(PostOps, BehindEveryHost, ::testing::ValuesIn(kHosts),
                         ::testing::PrintToStringParamName());

TEST(Kernels, OneZeroPointGoesForEveryChannelOfItsScales) {
  Graph graph;
  const ValueId x = input(graph, "x", {1, 4, 3, 3});
  const ValueId scales = constant(graph, {4}, {0.5F, 0.25F, 0.125F, 1});
  constexpr std::array kThree = {std::byte{3}};
  graph::Constant three;
  three.stored_as = graph::DType::u8;
  three.stored = kThree;
  const ValueId zero = must(graph.add_constant("zero", {graph::DType::u8, {}}, std::move(three)));
  const ValueId q = must(graph.add(graph::Quantize{1, graph::DType::u8}, {x, scales, zero}));
  const ValueId y = must(graph.add(graph::Dequantize{1}, {q, scales, zero}));
  graph.add_output(y);
  std::mt19937 random(3);
  const auto inputs = random_inputs(graph, random);
  EXPECT_EQ(difference(by_engine(graph, inputs), must(graph::evaluate(graph, inputs, {{y}}))), 0);
}

// max(NaN, 0) is 0: a broken file would become a confident answer.
TEST(Kernels, AWeightThatIsNotANumberIsRefused) {
  for (const float broken : {NAN, INFINITY}) {
    Graph graph;
    const ValueId x = input(graph, "x", {1, 1, 4, 4});
    const ValueId w = constant(graph, {1, 1, 1, 1}, {broken});
    const ValueId y = must(graph.add(graph::Conv{geometry(2), {}}, {x, w, graph::kNoValue}));
    graph.add_output(unary(graph, UnaryFn::relu, y));
    Ledger ledger(Bytes{64} << 20);
    const auto program = Program::load(graph, ProgramOptions(), ledger);
    ASSERT_FALSE(program);
    EXPECT_EQ(program.error().code, Errc::malformed) << program.error().message;
  }
}

}  // namespace
}  // namespace dermlens::exec
