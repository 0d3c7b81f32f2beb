// Random chains of a few convolutions in the arithmetic that their weights ask for, over every
// shape that kernels find awkward: channels that fill no block, strides larger than the kernel,
// rectangular maps, rows, columns and single pixels, groups, and what may follow in the same step.
#pragma once

#include <string>

#include "graph/graph.h"

namespace dermlens::graph::testing {

struct Chain {
  Graph graph;
  std::string story;  // the convolutions in it, for whoever reads of a failure
};
// The same chain for the same seed. `type`: f32, bf16 or i8.
Chain random_convolutions(unsigned seed, DType type);

}  // namespace dermlens::graph::testing
