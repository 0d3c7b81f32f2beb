#include "diagnose/network.h"

#include <algorithm>

#include "diagnose/card.h"
#include "diagnose/metadata_text.h"
#include "diagnose/runnable_outputs.h"
#include "kernels/precision.h"
#include "onnx/outline.h"

namespace dermlens::diagnose {
namespace {

// What the file leaves open of its picture's shape, from the metadata.
Result<onnx::ReadOptions> options_for(const std::string& path) {
  onnx::ReadOptions options;
  TRY(const onnx::Outline outline, onnx::read_outline(path));
  const auto size = outline.metadata.find("dermlens.size");
  const auto name = outline.metadata.find("dermlens.input");
  const auto layout = outline.metadata.find("dermlens.layout");
  for (const onnx::Outline::Input& input : outline.inputs) {
    const bool is_picture =
        name != outline.metadata.end() ? input.name == name->second : outline.inputs.size() == 1;
    if (!is_picture || !input.has_shape || input.dims.size() != 4) continue;
    graph::Shape shape = input.dims;
    if (shape[0] < 0) shape[0] = 1;
    const bool last = layout != outline.metadata.end() ? layout->second == "NHWC"
                                                       : shape[3] == 3 && shape[1] != 3;
    const std::size_t height = last ? 1 : 2;
    if (shape[height] >= 0 && shape[height + 1] >= 0) continue;
    if (size == outline.metadata.end())
      return fail(Errc::unsupported, "input '", input.name,
                  "' has no height or width; dermlens.size must say them");
    TRY(const auto sides, read_picture_size(size->second));
    if (shape[height] < 0) shape[height] = sides.first;
    if (shape[height + 1] < 0) shape[height + 1] = sides.second;
    if (shape[last ? 3 : 1] < 0) shape[last ? 3 : 1] = 3;
    options.input_shapes.emplace(input.name, std::move(shape));
  }
  return options;
}

}  // namespace

Result<Network> read_network(const std::string& path, Bytes most_bytes) {
  TRY(onnx::ReadOptions options, options_for(path));
  options.most_bytes = most_bytes;
  TRY(onnx::Model model, onnx::read_model(path, options));
  const Bytes left = most_bytes - std::min(most_bytes, model.memory);
  auto read = read_card(model, std::min(left, kMostCardBytes));
  if (!read) return within(path, std::move(read).error());
  Card card = std::move(*read);
  if (std::string warning = kernels::precision_of(model.graph).warning; !warning.empty())
    card.warnings.push_back(std::move(warning));
  const graph::ValueId output = *onnx::find_value(model, card.output);
  TRY_VOID(leave_out_what_cannot_run(model, output, left));
  const graph::Graph& graph = model.graph;
  const graph::ValueId input = *onnx::find_value(model, card.input);
  graph::ValueId scores = output;
  ScoreKind kind = ScoreKind::logits;
  if (card.outputs_probabilities) {
    // The softmax of the logits behind it is the same number, and logits make better gradients.
    const auto logits = logits_behind_softmax(graph, output);
    if (logits) scores = *logits;
    if (!logits) kind = ScoreKind::probabilities;
  }
  std::string preferred = card.layer;
  if (const auto value = onnx::find_value(model, preferred)) preferred = graph.value(*value).name;
  TRY(LayerMap layers,
      find_layers(graph, input, scores, card.preprocessing.channels_last, preferred));
  Network network{std::move(model), std::move(card), std::move(layers), "", "", kind};
  network.input = network.model.graph.value(input).name;
  network.scores = network.model.graph.value(scores).name;
  return network;
}

}  // namespace dermlens::diagnose
