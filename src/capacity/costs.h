// A request's bytes by category and by moment. Private to `capacity`.
#pragma once

#include "capacity/capacity.h"
#include "capacity/rehearsal.h"

namespace dermlens::capacity {

// `layer` is the heatmap's; null: none is made.
Result<Way> make_way(const Rehearsal& rehearsal, Placement placement, const diagnose::Card& card,
                     const diagnose::Layer* layer, const Assumptions& assumptions, Bytes base);

}  // namespace dermlens::capacity
