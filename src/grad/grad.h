// Reverse-mode differentiation as graph rewriting (Griewank and Walther, Evaluating Derivatives,
// 2nd ed., ch. 3): backward nodes of the same operator set are appended, only for the part between
// the target and the output.
//
// Runs after the graph is simplified and before activations are fused: a node with post-ops on the
// way is an internal error.
//
// Conventions, all of them PyTorch's:
// - at a kink, UnaryBackward decides; of equal maxima and minima, Reduce shares the gradient evenly
//   among them, Binary max and min give each side half, Pool gives it to the first;
// - floor, ceil, round, sign, comparisons and casts to integers let no gradient through;
// - Dequantize(Quantize(x)) with equal scales and zero points is differentiated as if it were
//   clip(x, lowest, highest representable number), the straight-through estimator of
//   torch.fake_quantize: the gradient passes where x was not saturated and is zero elsewhere. Any
//   other use of a quantized value on the way is unsupported.
//
// Unsupported: the filter of Conv and ConvBackwardData, the divisor of mod, indices of Gather that
// are computed or fall into more than 64 even runs, and the derivative of a derivative (but those
// of ConvBackwardData and SliceBackward, which are linear).
#pragma once

#include <span>
#include <vector>

#include "graph/graph.h"

namespace dermlens::grad {

struct Backward {
  graph::ValueId seed = graph::kNoValue;  // a late input, of the output's type
  std::vector<graph::ValueId> gradients;  // one for each target, of the target's type
};

// Appends nodes that compute, for each target t, d(sum(seed * output))/dt, and makes them outputs.
// A target that does not influence `output` gets zeros. The seed is named "seed:<output>", the
// gradient of t "grad:<t>" unless that name is taken or an earlier target has the same gradient.
// Every gradient is made by a node, so that it can be an output, and two targets may share one.
// Fails with usage where the output or a target is no value of the graph or not of a floating type,
// and with unsupported, naming the node, where an operator on the way has no derivative; the graph
// then holds part of the backward nodes and is of no further use.
Result<Backward> append_backward(graph::Graph& graph, graph::ValueId output,
                                 std::span<const graph::ValueId> targets);

}  // namespace dermlens::grad
