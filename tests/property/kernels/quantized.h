// Random networks between QuantizeLinear and DequantizeLinear, as converters write them: residual
// blocks whose input is read by the convolution and by the sum behind it, activations before and
// after that sum, channels that a batch norm switched off, maps of one pixel.
#pragma once

#include "graph/graph.h"

namespace dermlens::graph::testing {

// The same graph for the same seed. Scales are powers of two, 1/32 at most, so that what is rounded
// to a step is nearly always computed exactly.
Graph quantized_network(unsigned seed);

}  // namespace dermlens::graph::testing
