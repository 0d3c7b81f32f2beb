// Any bytes as a model: read or refused; what was read is a sound graph, and stays one through the
// passes, the backward pass and the fusing that a model goes through before it is planned.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "grad/grad.h"
#include "graph/passes.h"
#include "onnx/reader.h"

namespace dermlens {
namespace {

void expect_sound(const graph::Graph& graph, const Result<void>& done) {
  if (!done && done.error().code == Errc::internal) std::abort();
  if (done && !graph::verify(graph)) std::abort();
}

void read_constants(const graph::Graph& graph) {
  constexpr Bytes kSmall = 4096;
  for (graph::ValueId id = 0; id < graph.value_count(); ++id) {
    const graph::Value& value = graph.value(id);
    if (value.constant && value.type.elements() <= kSmall) graph::to_floats(value);
  }
}

// The last picture-like value, which a heatmap would look at.
std::optional<graph::ValueId> last_spatial(const graph::Graph& graph) {
  std::optional<graph::ValueId> found;
  for (const graph::Node& node : graph.nodes())
    if (graph.value(node.output).type.shape.size() == 4) found = node.output;
  return found;
}

void prepare(graph::Graph graph) {
  if (graph.outputs().empty()) return;
  const std::string scores = graph.value(graph.outputs()[0]).name;
  std::string layer;
  if (const auto spatial = last_spatial(graph)) {
    layer = graph.value(*spatial).name;
    graph.add_output(*spatial);
  }
  const Result<void> simplified = graph::simplify(graph);
  expect_sound(graph, simplified);
  if (!simplified) return;
  const auto from = graph.find(scores);
  if (!from) std::abort();
  if (const auto target = graph.find(layer)) {
    const auto backward = grad::append_backward(graph, *from, std::span(&*target, 1));
    if (!backward && backward.error().code == Errc::internal) std::abort();
    if (!backward) return;
  }
  expect_sound(graph, graph::fuse(graph));
}

}  // namespace
}  // namespace dermlens

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dermlens;
  // A copy of just this size: a read past its end is seen.
  const auto owner = std::make_shared<const std::vector<std::uint8_t>>(data, data + size);
  auto model = onnx::read_model_from_bytes(std::as_bytes(std::span(*owner)), owner);
  if (!model) {
    if (model.error().code == Errc::internal) std::abort();
    return 0;
  }
  if (!graph::verify(model->graph)) std::abort();
  read_constants(model->graph);
  prepare(std::move(model->graph));
  return 0;
}
