#include "diagnose/runnable_outputs.h"

#include <algorithm>

#include "graph/passes.h"
#include "kernels/lower.h"

namespace dermlens::diagnose {
namespace {

// Whether there are kernels for these outputs of the graph. Fails with anything but unsupported.
Result<bool> can_run(graph::Graph graph, std::vector<graph::ValueId> outputs) {
  graph.replace_outputs({});
  for (const graph::ValueId output : outputs) graph.add_output(output);
  TRY_VOID(graph::simplify(graph));
  TRY_VOID(graph::fuse(graph));
  const auto lowered = kernels::lower(graph);
  if (lowered) return true;
  if (lowered.error().code == Errc::unsupported) return false;
  return tl::make_unexpected(lowered.error());
}

}  // namespace

Result<void> leave_out_what_cannot_run(onnx::Model& model, graph::ValueId scores,
                                       Bytes most_bytes) {
  graph::Graph& graph = model.graph;
  const std::vector<graph::ValueId> outputs(graph.outputs().begin(), graph.outputs().end());
  if (std::ranges::all_of(outputs, [&](graph::ValueId output) { return output == scores; }))
    return {};
  TRY(const Bytes need, checked_add(model.memory, kernels::lowering_bytes(graph)));
  if (need > most_bytes) return {};
  std::vector<graph::ValueId> all = outputs;
  all.push_back(scores);
  TRY(const bool all_run, can_run(graph, std::move(all)));
  if (all_run) return {};
  std::vector<graph::ValueId> kept;
  std::size_t tried = 0;
  for (const graph::ValueId output : outputs) {
    bool runs = output == scores;
    if (!runs && tried < kMostTriedOutputs) {
      ++tried;
      TRY(runs, can_run(graph, {output}));
    }
    if (runs) kept.push_back(output);
  }
  graph.replace_outputs(std::move(kept));
  return {};
}

}  // namespace dermlens::diagnose
