// Rewriting passes. Each preserves the value of every output of the graph (within rounding), keeps
// every output's name, and leaves a graph that verify() accepts. They look only at the graph, never
// at the machine.
#pragma once

#include "graph/graph.h"

namespace dermlens::graph {

// Which passes run; all by default.
struct PassOptions {
  bool fold_constants = true;    // nodes whose inputs are all constant
  bool fold_batch_norm = true;   // per-channel Mul and Add after Conv or MatMul into its weights
  bool fold_pad = true;          // zero Pad into the Conv (or average Pool with include_pad) after it
  bool recognise = true;         // x*sigmoid(x), hard-swish, GELU chains into one Unary
  bool fuse = true;              // activations, residual sums and scales into post-ops
  bool remove_dead = true;
};

Result<void> run_passes(Graph& graph, const PassOptions& options = {});

// The single passes, for tests; each verifies its result where DERMLENS_VERIFY is set.
Result<void> fold_constants(Graph& graph);
Result<void> fold_batch_norm(Graph& graph);
Result<void> fold_pad(Graph& graph);
Result<void> recognise_activations(Graph& graph);
Result<void> fuse_post_ops(Graph& graph);
Result<void> remove_dead(Graph& graph);

}  // namespace dermlens::graph
