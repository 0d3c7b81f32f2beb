// Kernels that slide over an image: ONNX's auto_pad, explicit pads and ceil_mode become numbers.
#pragma once

#include "onnx/node_import.h"

namespace dermlens::onnx {

// One number a spatial dimension, all of them checked. `extra_end` is what ceil_mode adds behind
// the padding so that the last window fits.
struct Window {
  graph::Shape kernel, strides, dilations, pads_begin, pads_end, extra_end;
  bool has_extra() const;
};

// Reads strides, dilations, pads, auto_pad and (pools only) ceil_mode. `input` is the shape of x,
// [N, C, *S]; `kernel` has one number for each of S.
enum class WindowKind { conv, pool };
Result<Window> read_window(NodeImport& node, const graph::Shape& input, graph::Shape kernel,
                           WindowKind kind);

// The attributes of Conv and of its integer relatives, checked against x and the weights.
Result<graph::Conv> read_conv(NodeImport& node, graph::ValueId x, graph::ValueId weights);

}  // namespace dermlens::onnx
