// Which class a heatmap is asked for.
#pragma once

#include <cstddef>

#include "diagnose/scores.h"
#include "diagnose/types.h"

namespace dermlens::diagnose {

// "top1" (the most probable), a label's key, a class id, or a display name in any language; in this
// order, the first three as they stand. Fails with usage.
Result<std::size_t> find_class(const Target& target, const Card& card, const Scores& scores);

}  // namespace dermlens::diagnose
