// Constants of narrow types, as models store them, and the nodes that go with them.
#pragma once

#include <random>
#include <vector>

#include "graph/graph.h"

namespace dermlens::graph::testing {

// One byte a number for i8 and u8; for bf16 the two that a float begins with.
Constant stored(DType type, const std::vector<int>& numbers);
int as_bf16(float number);

// Through a Quantize and a Dequantize, in a unit of 1/32 or 1/64, signed or not.
ValueId quantized(Graph& graph, ValueId x, std::mt19937& random);

// Weights kept as f32, bf16 or i8 that leave numbers about as large as they were, where a sum has
// so many terms.
ValueId weights(Graph& graph, DType type, const Shape& shape, std::int64_t terms,
                std::mt19937& random);

}  // namespace dermlens::graph::testing
