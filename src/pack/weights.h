// Weights from their recipes into the primitives' layouts, one at a time: never more than the
// largest layer, twice, in memory.
#pragma once

#include <functional>
#include <span>

#include "graph/graph.h"
#include "kernels/lowered.h"
#include "memory/ledger.h"
#include "plan/plan.h"

namespace dermlens::pack {

// What a pack is made from; all of it outlives the call.
struct Source {
  const graph::Graph& graph;
  const kernels::Lowered& lowered;
  const plan::Layout& layout;
};

// Takes the bytes of a weight; `offset` is the layout's.
using Sink = std::function<Result<void>(Bytes offset, ByteView bytes)>;

// Hands every large (or every small) weight to `sink`, in order of rising offsets. The pages of the
// model that were read for it are given back. Fails with no_memory, or as the sink does.
Result<void> write_weights(const Source& source, bool small, Ledger& ledger, const Sink& sink);

}  // namespace dermlens::pack
