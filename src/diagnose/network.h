// A classifier as the rest of diagnose sees it: the graph as read, which of its values are the
// picture, the class scores and the layers, and the card. Made once at load, then only read.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "diagnose/layers.h"
#include "diagnose/scores.h"
#include "diagnose/types.h"
#include "onnx/reader.h"

namespace dermlens::diagnose {

struct Network {
  onnx::Model model;
  Card card;
  LayerMap layers;
  std::string input;   // the picture's value
  std::string scores;  // what probabilities and gradients start from: logits wherever possible
  ScoreKind kind = ScoreKind::logits;
};

// An output beside the scores that cannot be computed is none of the graph's.
// Graph and metadata may take `most_bytes`. Fails as read_model, read_card and find_layers do.
// Dynamic height and width come from the metadata (dermlens.size).
Result<Network> read_network(const std::string& path,
                             Bytes most_bytes = std::numeric_limits<Bytes>::max());

}  // namespace dermlens::diagnose
