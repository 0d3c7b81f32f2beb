// A small graph with numbers for its inputs, and the question whether the backward pass agrees with
// central differences, both over double by graph::evaluate.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "grad/grad.h"
#include "graph/reference.h"

namespace dermlens::grad {

// How far the backward pass is from central differences, relative to the largest derivative by the
// same target. Where a step of the difference crosses a kink, nothing is compared.
struct Agreement {
  std::size_t compared = 0, kinks = 0;
  double worst = 0;
  std::string place;  // of the worst
};

class GradientCheck {
 public:
  explicit GradientCheck(std::uint32_t seed = 1) : random_(seed) {}

  graph::Graph graph;

  // An input with distinct numbers, evenly spread over [low, high] in random order: no two closer
  // than (high - low) / elements, and none closer to a kink than 0.01.
  graph::ValueId input(const graph::Shape& shape, double low = -2, double high = 2,
                       std::initializer_list<double> kinks = {});
  graph::ValueId input_of(const graph::Shape& shape, std::vector<double> numbers);
  // Random numbers, not shared with any input.
  graph::ValueId constant(const graph::Shape& shape, float low = -1, float high = 1);
  graph::ValueId indices(const graph::Shape& shape, const std::vector<std::int64_t>& numbers);
  // Fails the test where the node is not accepted.
  graph::ValueId add(graph::Op op, std::vector<graph::ValueId> inputs, std::string_view name = {});

  // For a random seed. Fails the test where a gradient does not have its target's type. Targets
  // must be inputs. Works on a copy of the graph.
  Agreement compare(graph::ValueId output, const std::vector<graph::ValueId>& targets);
  // The same, expecting no kinks and agreement to `tolerance`.
  void expect_gradients(graph::ValueId output, const std::vector<graph::ValueId>& targets,
                        double tolerance = 1e-5);

  // The gradients for a given seed, one list of numbers a target.
  std::vector<std::vector<double>> gradients(graph::ValueId output,
                                             const std::vector<graph::ValueId>& targets,
                                             const std::vector<double>& seed);
  std::vector<double> numbers_of(graph::ValueId value);
  // The nodes that the backward pass appends, as "Reduce Expand ...".
  std::string backward_nodes(graph::ValueId output, const std::vector<graph::ValueId>& targets);
  // The error's code and message, empty where there is none.
  std::string backward_error(graph::ValueId output, const std::vector<graph::ValueId>& targets);

  std::vector<double> random_numbers(std::size_t count);
  std::size_t elements(graph::ValueId value) const {
    return static_cast<std::size_t>(graph.value(value).type.elements());
  }

 private:
  // By each number of the input; NaN at a kink.
  std::vector<double> difference_quotients(graph::ValueId output, std::size_t input,
                                           const std::vector<double>& seed);
  double seeded_output(graph::ValueId output, const std::vector<double>& seed);

  std::mt19937 random_;
  std::vector<graph::Tensor> inputs_;
};

inline graph::Op unary(graph::UnaryFn fn, float alpha = 0, float beta = 0) {
  return graph::Unary{.fn = fn, .alpha = alpha, .beta = beta};
}
inline graph::Op binary(graph::BinaryFn fn) { return graph::Binary{.fn = fn, .post_ops = {}}; }
inline graph::Op reduce(graph::ReduceFn fn, std::vector<std::size_t> axes, bool keep_dims = true) {
  return graph::Reduce{.fn = fn, .axes = std::move(axes), .keep_dims = keep_dims};
}

}  // namespace dermlens::grad
