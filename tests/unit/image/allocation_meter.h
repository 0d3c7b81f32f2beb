// Exactly what malloc has given out in this process: its present sum, its peak and the largest
// block.
#pragma once

#include <cstddef>

namespace dermlens::meter {

// False where a sanitizer owns malloc; the readings are then zero.
bool available();
// Starts the peak at the present sum.
void reset();
std::size_t present();
std::size_t peak();

}  // namespace dermlens::meter
