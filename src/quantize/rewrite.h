// The edits that make a model smaller: eight-bit convolutions, or weights of sixteen bits.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "onnx/writer.h"
#include "quantize/calibrate.h"
#include "quantize/sites.h"

namespace dermlens::quantize {

// QDQ nodes for the chosen sites (by index into `sites.sites`): activations signed with one scale,
// weights signed with one scale a channel, biases fp32 and corrected for what the rounding of the
// weights shifts on average. `clips`: the largest magnitude kept of each activation. The graph in
// `sites` is kept alive by the edit. Fails with internal where a clip is missing.
Result<onnx::Edit> integer_edit(const Sites& sites, const std::vector<std::size_t>& chosen,
                                const std::map<std::string, double>& clips,
                                const std::map<std::string, Statistics>& statistics);

// The activations that the chosen sites want as integers, in the file's order.
std::vector<std::string> activations_of(const Sites& sites, const std::vector<std::size_t>& chosen);

// Fails with unsupported where weights are int8 already, or bf16 where f16 is wanted: what their
// rounding took does not come back.
Result<void> check_source(const onnx::Model& model, graph::DType type);

struct Narrowed {
  onnx::Edit edit;
  std::size_t narrowed = 0;
  std::size_t already = 0;  // stored so before
  std::size_t kept = 0;     // as they were, for the tail's sake
};

// Every fp32 initializer of rank 2 and more as `type` (f16 or bf16) with a Cast to fp32; to bf16
// also those of f16 that only a Cast reads. With `tail_from`, a value's name, the weights of what
// makes it and of all that follows from it stay as they are: a bf16 weight asks for bf16
// arithmetic, and a heatmap's gradients want fp32. Fails with unsupported as check_source does or
// where the model's opset has no such Cast (writing it: where a weight is too large); with usage
// where the model has no such weights at all.
Result<Narrowed> narrow_edit(const onnx::Model& model, graph::DType type,
                             const std::string& tail_from = {});

}  // namespace dermlens::quantize
