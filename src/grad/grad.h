// Reverse-mode differentiation as graph rewriting (Griewank and Walther, Evaluating Derivatives,
// 2nd ed., ch. 3): backward nodes of the same operator set are appended, only for the part between
// the target and the output.
#pragma once

#include <span>
#include <vector>

#include "graph/graph.h"

namespace dermlens::grad {

struct Backward {
  graph::ValueId seed = graph::kNoValue;        // a late input, of the output's type
  std::vector<graph::ValueId> gradients;        // one for each target, of the target's type
};

// Appends nodes that compute, for each target t, d(sum(seed * output))/dt, and makes them outputs.
// A target that does not influence `output` gets an all-zero constant. Fails with unsupported,
// naming the node, where an operator on the way has no derivative.
Result<Backward> append_backward(graph::Graph& graph, graph::ValueId output,
                                 std::span<const graph::ValueId> targets);

}  // namespace dermlens::grad
