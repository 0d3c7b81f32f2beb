// A request's bytes by category and by moment. Private to `capacity`.
#pragma once

#include "capacity/capacity.h"

namespace dermlens::capacity {

// Everything but most_sessions. `layer` is the heatmap's; null: none is made.
Result<Way> make_way(const plan::Plan& plan, Placement placement, const diagnose::Card& card,
                     const diagnose::Layer* layer, const Assumptions& assumptions, Bytes base);

}  // namespace dermlens::capacity
