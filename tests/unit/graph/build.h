// Small graphs for tests, by hand: a failure to build one is the test's own bug and ends it.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/passes.h"
#include "graph/reference.h"

namespace dermlens::graph::testing {

template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(*result);
}

inline ValueId input(Graph& graph, std::string_view name, Shape shape) {
  return must(graph.add_input(name, {DType::f32, std::move(shape)}));
}

inline ValueId constant(Graph& graph, const Shape& shape, const std::vector<float>& values) {
  return graph.add_constant("c", shape, values);
}

inline ValueId scalar(Graph& graph, float value) { return constant(graph, {}, {value}); }

// A constant of multiples of 1/8, so that sums and products of a few stay exact in float.
inline ValueId random_constant(Graph& graph, const Shape& shape, std::mt19937& random) {
  std::vector<float> values(*count(shape));
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 33) - 16) / 8;
  return constant(graph, shape, values);
}

inline Tensor random_tensor(const TensorType& type, std::mt19937& random) {
  Tensor tensor{type, std::vector<double>(type.elements()), {}};
  std::uniform_real_distribution<double> range(-2, 2);
  for (double& number : tensor.reals) number = range(random);
  return tensor;
}

inline ConvGeometry geometry(std::size_t spatial, std::int64_t pad = 0, std::int64_t stride = 1,
                             std::int64_t groups = 1) {
  return {Shape(spatial, stride), Shape(spatial, 1), Shape(spatial, pad), Shape(spatial, pad),
          groups};
}

inline ValueId unary(Graph& graph, UnaryFn fn, ValueId x, float alpha = 0, float beta = 0) {
  return must(graph.add(Unary{fn, alpha, beta}, {x}));
}

inline ValueId binary(Graph& graph, BinaryFn fn, ValueId a, ValueId b) {
  return must(graph.add(Binary{fn, {}}, {a, b}));
}

// A 1x1 or 3x3 convolution that keeps the image's size.
inline ValueId conv(Graph& graph, ValueId x, std::int64_t out, std::int64_t kernel,
                    std::mt19937& random) {
  const std::int64_t in = graph.value(x).type.shape[1];
  const ValueId w = random_constant(graph, {out, in, kernel, kernel}, random);
  return must(graph.add(Conv{geometry(2, kernel / 2), {}}, {x, w, kNoValue}));
}

inline std::vector<std::string> operators(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.emplace_back(name_of(node.op));
  return names;
}

inline std::vector<Tensor> random_inputs(const Graph& graph, std::mt19937& random) {
  std::vector<Tensor> inputs;
  for (const Input& slot : graph.inputs())
    inputs.push_back(random_tensor(graph.value(slot.value).type, random));
  return inputs;
}

// Largest difference of two lists of outputs, each relative to its largest number or 1.
inline double difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(to_string(a[i].type), to_string(b[i].type));
    if (a[i].integers != b[i].integers) return INFINITY;
    double largest = 1;
    for (const double number : a[i].reals)
      if (std::isfinite(number)) largest = std::max(largest, std::abs(number));
    for (std::size_t j = 0; j < a[i].reals.size(); ++j) {
      const double x = a[i].reals[j], y = b[i].reals[j];
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      const double error = std::abs(x - y) / largest;
      worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    }
  }
  return worst;
}

// Runs `pass` on the graph and expects every output to keep its id, name and value.
template <class Pass>
void expect_preserved(Graph& graph, const Pass& pass, double tolerance, unsigned seed = 1) {
  std::mt19937 random(seed);
  const std::vector<ValueId> outputs(graph.outputs().begin(), graph.outputs().end());
  std::vector<std::string> names;
  for (const ValueId output : outputs) names.push_back(graph.value(output).name);
  const std::vector<Tensor> inputs = random_inputs(graph, random);
  const std::vector<Tensor> before = must(evaluate(graph, inputs, outputs));
  const Result<void> done = pass(graph);
  ASSERT_TRUE(done.has_value()) << done.error().message;
  const Result<void> sound = verify(graph);
  ASSERT_TRUE(sound.has_value()) << sound.error().message;
  ASSERT_TRUE(
      std::equal(outputs.begin(), outputs.end(), graph.outputs().begin(), graph.outputs().end()));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ(graph.value(outputs[i]).name, names[i]);
    EXPECT_EQ(graph.find(names[i]), outputs[i]);
  }
  EXPECT_LE(difference(before, must(evaluate(graph, inputs, outputs))), tolerance);
}

}  // namespace dermlens::graph::testing
