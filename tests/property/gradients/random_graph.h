// Grows a graph at random from operators that have a derivative: every shape fits, numbers stay
// bounded, and no tensor has more than a few hundred elements.
#pragma once

#include <optional>
#include <random>
#include <vector>

#include "unit/grad/gradient_check.h"

namespace dermlens::grad {

class RandomGraph {
 public:
  explicit RandomGraph(std::uint32_t seed);

  // Appends a random operator, if it fits the value it was drawn for, and a watch on some results.
  void grow();

  GradientCheck check;
  // The inputs, and watches: inputs added to intermediate values, with the gradients of their sum.
  // Their numbers differ: where values tie, the derivative is a convention and no quotient.
  std::vector<graph::ValueId> targets;
  // Every value so far; the last is the newest.
  std::vector<graph::ValueId> values;

 private:
  using Made = std::optional<graph::ValueId>;

  std::int64_t uniform(std::int64_t low, std::int64_t high);
  bool chance(double probability);
  std::size_t any_axis(const graph::Shape& shape);
  graph::ValueId any_value();
  graph::ValueId positive(graph::ValueId x);
  graph::Shape shape(graph::ValueId x) const { return check.graph.value(x).type.shape; }
  Made add(graph::Op op, std::vector<graph::ValueId> inputs);
  // The value itself, or squashed where its numbers have grown large.
  graph::ValueId bounded(graph::ValueId x);

  Made smooth_unary(graph::ValueId x);
  Made kinked_unary(graph::ValueId x);
  Made unary_of_positive(graph::ValueId x);
  Made binary_of_two(graph::ValueId x);
  Made gated(graph::ValueId x);
  Made power(graph::ValueId x);
  Made reduced(graph::ValueId x);
  Made softmax(graph::ValueId x);
  Made transposed(graph::ValueId x);
  Made reshaped(graph::ValueId x);
  Made expanded(graph::ValueId x);
  Made sliced(graph::ValueId x);
  Made placed(graph::ValueId x);
  Made joined(graph::ValueId x);
  Made padded(graph::ValueId x);
  Made gathered(graph::ValueId x);
  Made chosen(graph::ValueId x);
  Made convolved(graph::ValueId x);
  Made deconvolved(graph::ValueId x);
  Made pooled(graph::ValueId x);
  Made multiplied(graph::ValueId x);

  std::mt19937 random_;
};

}  // namespace dermlens::grad
