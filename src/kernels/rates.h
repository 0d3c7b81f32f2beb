// How fast this machine can be at best: the floor that a model's time is held against.
#pragma once

#include <map>

#include "base/result.h"
#include "graph/graph.h"

namespace dermlens::kernels {

struct Rates {
  // Multiplications and additions a second of oneDNN's own matrix product, by element type; a type
  // that this CPU does not compute natively is absent.
  std::map<graph::DType, double> flops;
  double bytes_per_second = 0;  // of a copy from memory to memory, reads and writes counted
};

// Measures on the calling thread for about a second, the best of many rounds; takes 140 MB for that
// long. Fails with internal where oneDNN does.
Result<Rates> measure_rates();

// Multiplications and additions of all convolutions and matrix products, by the type they would be
// computed in on this CPU.
std::map<graph::DType, double> flops_of(const graph::Graph& graph);

}  // namespace dermlens::kernels
