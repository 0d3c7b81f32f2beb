// Random small networks: convolutions, batch norms, activations as exporters write them, residual
// sums, squeeze-and-excite, pads, moves that change nothing, constant arithmetic, a late input.
#pragma once

#include <random>

#include "graph/graph.h"

namespace dermlens::graph::testing {

// Whether constants that float cannot hold exactly (1/6, 1/sqrt(2)) may occur: passes may then
// round differently.
enum class Constants { exact, rounded };

// The same graph for the same seed.
Graph random_graph(unsigned seed, Constants constants);

}  // namespace dermlens::graph::testing
