// Unguessable names for results.
#pragma once

#include <string>

#include "base/result.h"

namespace dermlens::diagnose {

// 128 bits from the kernel's random number generator as 32 hex digits. Fails with io.
Result<std::string> random_identifier();

}  // namespace dermlens::diagnose
