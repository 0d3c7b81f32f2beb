// Any bytes as a model: read or refused, and what was read is a sound graph.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "onnx/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dermlens;
  // A copy of just this size: a read past its end is seen.
  const auto owner = std::make_shared<const std::vector<std::uint8_t>>(data, data + size);
  const auto model = onnx::read_model_from_bytes(std::as_bytes(std::span(*owner)), owner);
  if (!model) {
    if (model.error().code == Errc::internal) std::abort();
    return 0;
  }
  if (!graph::verify(model->graph)) std::abort();
  for (graph::ValueId id = 0; id < model->graph.value_count(); ++id) {
    const graph::Value& value = model->graph.value(id);
    constexpr Bytes kSmall = 4096;
    if (value.constant && value.type.elements() <= kSmall) graph::to_floats(value);
  }
  return 0;
}
