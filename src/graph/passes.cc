// The order of the passes, and the one that keeps only what some output needs.
#include "graph/passes.h"

#include <algorithm>

#include "graph/rewrite.h"

namespace dermlens::graph {
namespace {

Result<void> run(bool wanted, Result<void> (*pass)(Graph&), Graph& graph) {
  return wanted ? pass(graph) : Result<void>{};
}

}  // namespace

Result<void> simplify(Graph& graph, const PassOptions& options) {
  // What no output needs costs no work.
  TRY_VOID(run(options.remove_dead, graph::remove_dead, graph));
  TRY_VOID(run(options.fold_constants, graph::fold_constants, graph));
  // Activations before batch norms: their constants must not have wandered into weights.
  TRY_VOID(run(options.recognise, recognise_activations, graph));
  TRY_VOID(run(options.remove_identities, graph::remove_identities, graph));
  TRY_VOID(run(options.fold_pad, graph::fold_pad, graph));
  TRY_VOID(run(options.fold_batch_norm, graph::fold_batch_norm, graph));
  return run(options.remove_dead, graph::remove_dead, graph);
}

Result<void> fuse(Graph& graph, const PassOptions& options) {
  TRY_VOID(run(options.remove_dead, graph::remove_dead, graph));
  TRY_VOID(run(options.fuse, fuse_post_ops, graph));
  return run(options.remove_dead, graph::remove_dead, graph);
}

Result<void> remove_dead(Graph& graph) {
  Rewrite rewrite(graph);
  std::vector<bool> needed(graph.value_count(), false);
  for (const ValueId output : graph.outputs()) needed[output] = true;
  for (std::size_t i = rewrite.size(); i-- > 0;) {
    const Node& node = *rewrite.node(i);
    if (!needed[node.output]) {
      rewrite.erase(i);
      continue;
    }
    for (const ValueId input : node.inputs)
      if (input != kNoValue) needed[input] = true;
  }
  return rewrite.finish();
}

}  // namespace dermlens::graph
