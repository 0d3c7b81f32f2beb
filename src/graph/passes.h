// Rewriting passes. Each preserves the value of every output of the graph (within rounding), keeps
// every output's id and name, and leaves a graph that verify() accepts. They look only at the
// graph, never at the machine. Values that are no outputs may disappear.
#pragma once

#include "graph/graph.h"

namespace dermlens::graph {

// Which passes run; all by default.
struct PassOptions {
  bool fold_constants = true;     // nodes whose inputs are all constant
  bool fold_batch_norm = true;    // per-channel Mul and Add after Conv or MatMul into its weights
  bool fold_pad = true;           // zero Pad into the Conv or Pool after it
  bool recognise = true;          // x*sigmoid(x), hard-swish, GELU chains into one Unary
  bool remove_identities = true;  // reshapes to the same shape, casts to the same type, ...
  bool fuse = true;               // activations, residual sums and scales into post-ops
  bool remove_dead = true;
};

// Before `grad`: fewer and simpler nodes, each still with a derivative.
Result<void> simplify(Graph& graph, const PassOptions& options = {});

// After `grad`, before `kernels`: post-ops, which have no derivative. What a backward node reads
// has two users and is therefore left alone.
Result<void> fuse(Graph& graph, const PassOptions& options = {});

// The single passes, for tests; each verifies its result where DERMLENS_VERIFY is set.
//
// A constant's Cast, Reshape and Dequantize only change its recipe. Other results are computed, if
// they are small: kMaxFoldedElements a node, and for the whole graph kMaxFoldedTotal and a bounded
// number of multiplications.
Result<void> fold_constants(Graph& graph);
inline constexpr Bytes kMaxFoldedElements = Bytes{1} << 20;
inline constexpr Bytes kMaxFoldedTotal = Bytes{4} << 20;
Result<void> fold_batch_norm(Graph& graph);
Result<void> fold_pad(Graph& graph);
Result<void> recognise_activations(Graph& graph);
Result<void> remove_identities(Graph& graph);
Result<void> fuse_post_ops(Graph& graph);
Result<void> remove_dead(Graph& graph);

// Whether fuse_post_ops may put this function behind another operator: those that `kernels` can say
// in oneDNN's eltwise post-ops.
bool is_post_op(UnaryFn fn);

}  // namespace dermlens::graph
