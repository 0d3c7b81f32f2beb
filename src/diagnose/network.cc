#include "diagnose/network.h"

#include <sys/stat.h>

#include <filesystem>

#include "diagnose/card.h"

namespace dermlens::diagnose {
namespace {

std::string key_of(const onnx::Model& model) {
  std::string key;
  for (const auto& file : model.files) {
    std::error_code error;
    const auto path = std::filesystem::canonical(file->path(), error);
    struct stat status {};
    const bool known = !error && ::stat(path.c_str(), &status) == 0;
    key += (error ? file->path() : path.string()) + ":" + std::to_string(file->bytes().size());
    if (known)
      key += ":" + std::to_string(status.st_ino) + ":" + std::to_string(status.st_mtim.tv_sec) +
             "." + std::to_string(status.st_mtim.tv_nsec);
    key += ";";
  }
  return key;
}

}  // namespace

Result<Network> read_network(const std::string& path) {
  TRY(onnx::Model model, onnx::read_model(path));
  TRY(Card card, read_card(model));
  const graph::Graph& graph = model.graph;
  const graph::ValueId input = *graph.find(card.input);
  const graph::ValueId output = *graph.find(card.output);
  graph::ValueId scores = output;
  ScoreKind kind = ScoreKind::logits;
  if (card.outputs_probabilities) {
    // The softmax of the logits behind it is the same number, and logits make better gradients.
    const auto logits = logits_behind_softmax(graph, output);
    if (logits) scores = *logits;
    if (!logits) kind = ScoreKind::probabilities;
  }
  TRY(LayerMap layers,
      find_layers(graph, input, scores, card.preprocessing.channels_last, card.layer));
  Network network{std::move(model), std::move(card), std::move(layers), "", "", "", kind};
  network.key = key_of(network.model);
  network.input = network.card.input;
  network.scores = network.model.graph.value(scores).name;
  return network;
}

}  // namespace dermlens::diagnose
