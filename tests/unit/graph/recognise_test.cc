// The chains that exporters write for activations, in their orders, become one function each.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

constexpr auto kRoot2 = static_cast<float>(std::numbers::sqrt2);
const auto kTanhSlope = static_cast<float>(std::sqrt(2 / std::numbers::pi));

ValueId add(Graph& g, ValueId a, float b) { return binary(g, BinaryFn::add, a, scalar(g, b)); }
ValueId mul(Graph& g, ValueId a, float b) { return binary(g, BinaryFn::mul, a, scalar(g, b)); }
ValueId mul(Graph& g, ValueId a, ValueId b) { return binary(g, BinaryFn::mul, a, b); }
ValueId div(Graph& g, ValueId a, float b) { return binary(g, BinaryFn::div, a, scalar(g, b)); }
ValueId clip6(Graph& g, ValueId x) { return unary(g, UnaryFn::clip, x, 0, 6); }
ValueId one_plus_erf(Graph& g, ValueId x) {
  return add(g, unary(g, UnaryFn::erf, div(g, x, kRoot2)), 1);
}
ValueId one_plus_tanh(Graph& g, ValueId argument) {
  return add(g, unary(g, UnaryFn::tanh, argument), 1);
}
ValueId cubed(Graph& g, ValueId x) { return binary(g, BinaryFn::pow, x, scalar(g, 3)); }
ValueId plus_cube(Graph& g, ValueId x, ValueId cube) {
  return binary(g, BinaryFn::add, x, mul(g, cube, 0.044715f));
}

struct Form {
  const char* name;
  UnaryFn fn;
  std::function<ValueId(Graph&, ValueId)> build;
};
void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

class Activations : public ::testing::TestWithParam<Form> {};

TEST_P(Activations, BecomeOneFunction) {
  Graph graph;
  const ValueId x = input(graph, "x", {1, 3, 4, 4});
  // The argument is itself a product, which must not be taken apart.
  const ValueId scaled = mul(graph, mul(graph, x, x), 0.25f);
  graph.add_output(GetParam().build(graph, scaled));
  expect_preserved(graph, recognise_activations, 3e-7);
  ASSERT_TRUE(remove_dead(graph).has_value());
  ASSERT_EQ(graph.nodes().size(), 3u);
  EXPECT_EQ(std::get<Unary>(graph.nodes()[2].op).fn, GetParam().fn);
}

INSTANTIATE_TEST_SUITE_P(
    Exporters, Activations,
    ::testing::Values(
        Form{"Silu", UnaryFn::silu,
             [](Graph& g, ValueId x) { return mul(g, x, unary(g, UnaryFn::sigmoid, x)); }},
        Form{"SiluReversed", UnaryFn::silu,
             [](Graph& g, ValueId x) { return mul(g, unary(g, UnaryFn::sigmoid, x), x); }},
        Form{"HardSwishOfHardSigmoid", UnaryFn::hard_swish,
             [](Graph& g, ValueId x) {
               return mul(g, x, unary(g, UnaryFn::hard_sigmoid, x, 1.0f / 6, 0.5f));
             }},
        Form{"HardSwishGateDivided", UnaryFn::hard_swish,
             [](Graph& g, ValueId x) { return mul(g, x, div(g, clip6(g, add(g, x, 3)), 6)); }},
        Form{"HardSwishGateScaled", UnaryFn::hard_swish,
             [](Graph& g, ValueId x) {
               return mul(g, mul(g, clip6(g, add(g, x, 3)), 1.0f / 6), x);
             }},
        Form{"HardSwishProductDivided", UnaryFn::hard_swish,
             [](Graph& g, ValueId x) { return div(g, mul(g, x, clip6(g, add(g, x, 3))), 6); }},
        Form{"HardSwishProductScaled", UnaryFn::hard_swish,
             [](Graph& g, ValueId x) {
               return mul(g, mul(g, clip6(g, add(g, x, 3)), x), 1.0f / 6);
             }},
        Form{"HardSigmoid", UnaryFn::hard_sigmoid,
             [](Graph& g, ValueId x) { return div(g, clip6(g, add(g, x, 3)), 6); }},
        Form{"GeluHalfLast", UnaryFn::gelu_erf,
             [](Graph& g, ValueId x) { return mul(g, mul(g, x, one_plus_erf(g, x)), 0.5f); }},
        Form{"GeluHalfFirst", UnaryFn::gelu_erf,
             [](Graph& g, ValueId x) { return mul(g, mul(g, x, 0.5f), one_plus_erf(g, x)); }},
        Form{"GeluHalfOfGate", UnaryFn::gelu_erf,
             [](Graph& g, ValueId x) { return mul(g, x, mul(g, one_plus_erf(g, x), 0.5f)); }},
        Form{"GeluHalvedGate", UnaryFn::gelu_erf,
             [](Graph& g, ValueId x) {
               const ValueId erf = unary(g, UnaryFn::erf, mul(g, x, 1 / kRoot2));
               return mul(g, x, add(g, mul(g, erf, 0.5f), 0.5f));
             }},
        Form{"GeluDivided", UnaryFn::gelu_erf,
             [](Graph& g, ValueId x) { return div(g, mul(g, one_plus_erf(g, x), x), 2); }},
        Form{"TanhGelu", UnaryFn::gelu_tanh,
             [](Graph& g, ValueId x) {
               const ValueId inner = mul(g, plus_cube(g, x, cubed(g, x)), kTanhSlope);
               return mul(g, mul(g, x, 0.5f), one_plus_tanh(g, inner));
             }},
        Form{"TanhGeluOfProducts", UnaryFn::gelu_tanh,
             [](Graph& g, ValueId x) {
               const ValueId cube = mul(g, mul(g, x, x), x);
               const ValueId inner = mul(g, plus_cube(g, x, cube), kTanhSlope);
               return mul(g, mul(g, x, one_plus_tanh(g, inner)), 0.5f);
             }},
        Form{"TanhGeluFactored", UnaryFn::gelu_tanh,
             [](Graph& g, ValueId x) {
               const ValueId square = add(g, mul(g, mul(g, x, x), 0.044715f), 1);
               const ValueId inner = mul(g, mul(g, x, kTanhSlope), square);
               return mul(g, x, mul(g, one_plus_tanh(g, inner), 0.5f));
             }}),
    ::testing::PrintToStringParamName());

class NearMisses : public ::testing::TestWithParam<Form> {};

TEST_P(NearMisses, StayWhatTheyAre) {
  Graph graph;
  const ValueId x = input(graph, "x", {1, 3, 4, 4});
  graph.add_output(GetParam().build(graph, x));
  expect_preserved(graph, recognise_activations, 3e-7);
  for (const Node& node : graph.nodes()) {
    const auto* found = std::get_if<Unary>(&node.op);
    EXPECT_TRUE(found == nullptr || found->fn != GetParam().fn);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Exporters, NearMisses,
    ::testing::Values(Form{"SigmoidOfAnother", UnaryFn::silu,
                           [](Graph& g, ValueId x) {
                             return mul(g, x, unary(g, UnaryFn::sigmoid, add(g, x, 0.5f)));
                           }},
                      Form{"QuickGelu", UnaryFn::silu,
                           [](Graph& g, ValueId x) {
                             return mul(g, x, unary(g, UnaryFn::sigmoid, mul(g, x, 1.702f)));
                           }},
                      Form{"OtherHardSigmoid", UnaryFn::hard_swish,
                           [](Graph& g, ValueId x) {
                             return mul(g, x, unary(g, UnaryFn::hard_sigmoid, x, 0.2f, 0.5f));
                           }},
                      Form{"ClipToFive", UnaryFn::hard_swish,
                           [](Graph& g, ValueId x) {
                             return div(g, mul(g, x, unary(g, UnaryFn::clip, add(g, x, 3), 0, 5)),
                                        6);
                           }},
                      Form{"WholeGelu", UnaryFn::gelu_erf,
                           [](Graph& g, ValueId x) { return mul(g, x, one_plus_erf(g, x)); }},
                      Form{"RoughRoot", UnaryFn::gelu_erf,
                           [](Graph& g, ValueId x) {
                             const ValueId erf = unary(g, UnaryFn::erf, mul(g, x, 0.7071f));
                             return mul(g, mul(g, x, add(g, erf, 1)), 0.5f);
                           }},
                      Form{"OtherCubic", UnaryFn::gelu_tanh,
                           [](Graph& g, ValueId x) {
                             const ValueId sum =
                                 binary(g, BinaryFn::add, x, mul(g, cubed(g, x), 0.05f));
                             return mul(g, mul(g, x, one_plus_tanh(g, mul(g, sum, kTanhSlope))),
                                        0.5f);
                           }}),
    ::testing::PrintToStringParamName());

TEST(Recognise, AGateThatIsAnOutputSurvives) {
  Graph graph;
  const ValueId x = input(graph, "x", {2});
  const ValueId gate = unary(graph, UnaryFn::sigmoid, x);
  graph.add_output(gate);
  graph.add_output(mul(graph, x, gate));
  expect_preserved(graph, recognise_activations, 1e-12);
  EXPECT_EQ(std::get<Unary>(graph.nodes()[0].op).fn, UnaryFn::sigmoid);
  EXPECT_EQ(std::get<Unary>(graph.nodes()[1].op).fn, UnaryFn::silu);
}

TEST(Recognise, AScalarThatBroadcastsTheOtherWayStays) {
  Graph graph;
  const ValueId x = input(graph, "x", {2});
  graph.add_output(binary(graph, BinaryFn::add, x, constant(graph, {1, 1}, {1})));
  graph.add_output(binary(graph, BinaryFn::div, scalar(graph, 1), x));
  expect_preserved(graph, recognise_activations, 0);
  EXPECT_THAT(operators(graph), ::testing::ElementsAre("Binary", "Binary"));
}

}  // namespace
}  // namespace dermlens::graph::testing
