// A graph run by the engine as a whole, from simplify() to the session, for comparison with the
// reference evaluator.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "unit/graph/build.h"

namespace dermlens {

// The outputs of `graph`, in order, as the engine computes them.
std::vector<graph::Tensor> run_engine(const graph::Graph& graph,
                                      const std::vector<graph::Tensor>& inputs);

}  // namespace dermlens
