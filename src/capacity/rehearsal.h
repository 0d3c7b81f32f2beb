// One Program run once, with weights that take no memory, and what it leaves: the measured part of
// a plan. Private to `capacity`.
#pragma once

#include <string>

#include "diagnose/network.h"
#include "plan/plan.h"

namespace dermlens::capacity {

// The plan of the Program to `layer` (empty: without heatmaps); its `code` is what the process has
// in memory beyond `base` when the Program has run, pictures were read and written, and neither
// weights nor a session are there. Fails as Program::load does.
Result<plan::Plan> rehearse(const diagnose::Network& network, const std::string& layer, Bytes base,
                            int threads);

}  // namespace dermlens::capacity
