// The definition of every operator in plain loops, over double: what tests compare the kernels
// with, what finite differences need, and what folds constants. Slow by design, no oneDNN.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace dermlens::graph {

// A tensor by value, row-major. Floating types live in `reals`, integers and booleans in
// `integers`; exactly one of them is filled.
struct Tensor {
  TensorType type;
  std::vector<double> reals;
  std::vector<std::int64_t> integers;
};

Tensor tensor_of(const Value& constant);

// The result of one operator; an absent optional input is nullptr. Fails as infer() does, or with
// unsupported for an element type the operator has no meaning for.
Result<Tensor> evaluate(const Op& op, std::span<const Tensor* const> inputs);

// Runs the whole graph. `inputs` in the order of graph.inputs(), late ones included; returns every
// value asked for in `wanted`.
Result<std::vector<Tensor>> evaluate(const Graph& graph, std::span<const Tensor> inputs,
                                     std::span<const ValueId> wanted);

}  // namespace dermlens::graph
