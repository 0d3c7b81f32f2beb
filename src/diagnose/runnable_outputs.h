// Which of a model's outputs can be computed: a secondary one that cannot must not cost the class
// scores.
#pragma once

#include "base/result.h"
#include "onnx/reader.h"

namespace dermlens::diagnose {

// Of the outputs that are tried one by one, because not all can be computed together: each costs
// the choice of kernels for its part of the graph.
inline constexpr std::size_t kMostTriedOutputs = 16;

// Takes from the graph's outputs those that have no kernels; `scores` stays, whether or not it has
// (loading then says why). Beyond kMostTriedOutputs none is kept unless all can be. Where the work
// does not fit into `most_bytes` the outputs stay as they are. Fails as graph::simplify() does.
Result<void> leave_out_what_cannot_run(onnx::Model& model, graph::ValueId scores, Bytes most_bytes);

}  // namespace dermlens::diagnose
