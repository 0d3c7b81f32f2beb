// Pixels into a model's input tensor, as the card says.
#pragma once

#include <span>

#include "diagnose/types.h"
#include "image/picture.h"

namespace dermlens::diagnose {

// `picture` has the size of `how`; `input` 3 * width * height elements, planar (NCHW) or
// interleaved (NHWC).
void write_input(const Picture& picture, const Preprocessing& how, std::span<float> input);

}  // namespace dermlens::diagnose
