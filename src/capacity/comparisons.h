// The plans and options of the system we replace, beside ours. Private to `capacity`.
#pragma once

#include <vector>

#include "capacity/capacity.h"

namespace dermlens::capacity {

// Rows A to D and 2A to 2D. `capacity` has its ways and its recommendation.
std::vector<Comparison> compare_with_seed(const Capacity& capacity);

}  // namespace dermlens::capacity
