// Appends the nodes of the backward pass, and none that would do nothing: a sum over no axis, a
// factor of one, an expansion to the shape that is already there yield their argument.
// Internal to src/grad. Every function fails as Graph::add() does.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace dermlens::grad {

class Emitter {
 public:
  // `graph` outlives the emitter.
  explicit Emitter(graph::Graph& graph) : graph_(graph) {}

  const graph::Graph& graph() const { return graph_; }
  // By value: what is appended moves the graph's values.
  graph::Shape shape(graph::ValueId value) const { return graph_.value(value).type.shape; }
  graph::DType dtype(graph::ValueId value) const { return graph_.value(value).type.dtype; }

  // The nodes from here on work for the gradient of this value: they are named after it.
  void set_subject(graph::ValueId value) { subject_ = graph_.value(value).name; }

  Result<graph::ValueId> add(graph::Op op, std::vector<graph::ValueId> inputs);
  Result<graph::ValueId> unary(graph::Unary op, graph::ValueId x);
  Result<graph::ValueId> binary(graph::BinaryFn fn, graph::ValueId a, graph::ValueId b);
  Result<graph::ValueId> where(graph::ValueId condition, graph::ValueId a, graph::ValueId b);
  Result<graph::ValueId> cast(graph::ValueId x, graph::DType to);
  Result<graph::ValueId> scaled(graph::ValueId x, double factor);
  Result<graph::ValueId> reshaped(graph::ValueId x, const graph::Shape& shape);
  // The same value for the same question.
  Result<graph::ValueId> expanded(graph::ValueId x, const graph::Shape& shape);
  // Keeps the reduced dimensions.
  Result<graph::ValueId> summed(graph::ValueId x, const std::vector<std::size_t>& axes);

  // The transpose of broadcasting. `x` stands for a tensor of shape `full`, with which it agrees
  // in rank and, where it is not 1, in each dimension; the result stands likewise for the sum over
  // the dimensions that broadcasting `shape` to `full` repeats.
  Result<graph::ValueId> summed_to(graph::ValueId x, const graph::Shape& full,
                                   const graph::Shape& shape);

  // A constant of rank 0; the same one for equal numbers.
  Result<graph::ValueId> scalar(graph::DType dtype, float number);
  Result<graph::ValueId> constant(const graph::TensorType& type, std::vector<float> numbers);

 private:
  graph::Graph& graph_;
  std::string subject_;
  std::map<std::pair<graph::DType, float>, graph::ValueId> scalars_;
  std::map<std::pair<graph::ValueId, graph::Shape>, graph::ValueId> expanded_;
};

}  // namespace dermlens::grad
