// Random networks over every number of channels that blocked layouts find awkward: they do not fill
// a block, or fill half of the widest one.
#pragma once

#include "graph/graph.h"

namespace dermlens::graph::testing {

// The same graph for the same seed; several of its values are outputs, so that what follows them is
// not fused into them.
Graph awkward_channels(unsigned seed);

}  // namespace dermlens::graph::testing
