// Which values of a classifier a heatmap can be made at, and which one is meant by "auto" and
// "last_conv". Looks at the graph as it was read, before any pass, so that the names are the
// file's.
#pragma once

#include <string_view>
#include <vector>

#include "diagnose/model.h"
#include "graph/graph.h"

namespace dermlens::diagnose {

struct LayerMap {
  std::vector<Layer> layers;           // in the graph's order
  std::vector<graph::ValueId> values;  // parallel to `layers`
  std::string automatic;               // empty where no layer will do
  std::string last_conv;               // empty where there is no convolution
};

// The values on a path from `input` to `score` that are [1, C, H, W] with H * W > 1 and whose
// channels are known to stand second (a transposition to NHWC and back is followed); the input
// itself is none of them. `auto` is the last of them that every path crosses, or `preferred`, the
// card's choice, where that is not "auto". `channels_last` says how the input lies.
// Fails with malformed where `preferred` is no such value.
Result<LayerMap> find_layers(const graph::Graph& graph, graph::ValueId input, graph::ValueId score,
                             bool channels_last, std::string_view preferred);

// A user's "auto", "last_conv" or value name. Fails with usage, naming the automatic one.
Result<const Layer*> choose_layer(const LayerMap& map, std::string_view wish);

}  // namespace dermlens::diagnose
