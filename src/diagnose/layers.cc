#include "diagnose/layers.h"

#include <algorithm>
#include <limits>

namespace dermlens::diagnose {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::ValueId;

enum class Layout : std::uint8_t { unknown, channels_first, channels_last };

// Which values the input reaches and which of them reach the score.
std::vector<bool> values_between(const Graph& graph, ValueId input, ValueId score) {
  std::vector<bool> reached(graph.value_count(), false);
  reached[input] = true;
  for (const Node& node : graph.nodes())
    for (const ValueId id : node.inputs)
      if (id != kNoValue && reached[id]) reached[node.output] = true;
  std::vector<bool> needed(graph.value_count(), false);
  needed[score] = true;
  for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node)
    if (needed[node->output])
      for (const ValueId id : node->inputs)
        if (id != kNoValue) needed[id] = true;
  for (std::size_t i = 0; i < reached.size(); ++i) reached[i] = reached[i] && needed[i];
  return reached;
}

Layout transposed(const graph::Transpose& op, Layout from) {
  const std::vector<std::size_t> to_last{0, 2, 3, 1};
  const std::vector<std::size_t> to_first{0, 3, 1, 2};
  if (op.permutation == to_last && from == Layout::channels_first) return Layout::channels_last;
  if (op.permutation == to_first && from == Layout::channels_last) return Layout::channels_first;
  return Layout::unknown;
}

// Where channels stand in the result of a node, by what the operator means; operators that only
// touch elements pass it on from a spatial input on the path.
Layout layout_of(const Graph& graph, const Node& node, const std::vector<Layout>& layouts) {
  if (graph.value(node.output).type.shape.size() != 4) return Layout::unknown;
  if (std::holds_alternative<graph::Conv>(node.op) || std::holds_alternative<graph::Pool>(node.op))
    return Layout::channels_first;
  if (std::holds_alternative<graph::MatMul>(node.op))  // multiplies the last axis
    return node.inputs[0] != kNoValue && layouts[node.inputs[0]] == Layout::channels_last
               ? Layout::channels_last
               : Layout::unknown;
  if (std::holds_alternative<graph::Reshape>(node.op)) {
    const bool same = graph.value(node.inputs[0]).type.shape == graph.value(node.output).type.shape;
    return same ? layouts[node.inputs[0]] : Layout::unknown;
  }
  Layout found = Layout::unknown;
  for (const ValueId id : node.inputs)
    if (id != kNoValue && found == Layout::unknown) found = layouts[id];
  if (const auto* transpose = std::get_if<graph::Transpose>(&node.op))
    return transposed(*transpose, found);
  return found;
}

// The values that every path crosses. In an order in which all edges point forward, and where each
// value lies on some path, a value is avoided just when an edge jumps over it.
std::vector<bool> crossed_by_all(const Graph& graph, ValueId input,
                                 const std::vector<bool>& between) {
  std::vector<std::size_t> position(graph.value_count(), 0);
  std::vector<ValueId> order{input};
  for (const Node& node : graph.nodes())
    if (between[node.output]) {
      position[node.output] = order.size();
      order.push_back(node.output);
    }
  std::vector<std::size_t> farthest(order.size(), 0);
  for (const Node& node : graph.nodes())
    if (between[node.output])
      for (const ValueId id : node.inputs)
        if (id != kNoValue && between[id])
          farthest[position[id]] = std::max(farthest[position[id]], position[node.output]);
  std::vector<bool> crossed(graph.value_count(), false);
  std::size_t jump = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    crossed[order[i]] = jump <= i;
    jump = std::max(jump, farthest[i]);
  }
  return crossed;
}

bool spatial(const graph::Shape& shape) {
  return shape.size() == 4 && shape[0] == 1 && shape[2] > 0 && shape[3] > 0 &&
         (shape[2] > 1 || shape[3] > 1);
}

}  // namespace

Result<LayerMap> find_layers(const Graph& graph, ValueId input, ValueId score, bool channels_last,
                             std::string_view preferred) {
  const std::vector<bool> between = values_between(graph, input, score);
  const std::vector<bool> crossed = crossed_by_all(graph, input, between);
  std::vector<Layout> layouts(graph.value_count(), Layout::unknown);
  layouts[input] = channels_last ? Layout::channels_last : Layout::channels_first;
  LayerMap map;
  for (const Node& node : graph.nodes()) {
    if (!between[node.output]) continue;
    layouts[node.output] = layout_of(graph, node, layouts);
    const graph::Value& value = graph.value(node.output);
    if (layouts[node.output] != Layout::channels_first || !spatial(value.type.shape)) continue;
    map.layers.push_back({value.name, value.type.shape, std::string(name_of(node.op))});
    map.values.push_back(node.output);
    if (crossed[node.output]) map.automatic = value.name;
    if (std::holds_alternative<graph::Conv>(node.op)) map.last_conv = value.name;
  }
  if (preferred == "last_conv") {
    map.automatic = map.last_conv;
  } else if (preferred != "auto") {
    if (std::none_of(map.layers.begin(), map.layers.end(),
                     [&](const Layer& layer) { return layer.name == preferred; }))
      return fail(Errc::malformed, "the model's metadata names a heatmap layer that is none ('",
                  preferred, "', dermlens.layer)");
    map.automatic = preferred;
  }
  for (Layer& layer : map.layers) {
    layer.is_auto = layer.name == map.automatic;
    layer.is_last_conv = layer.name == map.last_conv;
  }
  return map;
}

Result<const Layer*> choose_layer(const LayerMap& map, std::string_view wish) {
  const std::string_view name = wish == "auto"        ? std::string_view(map.automatic)
                                : wish == "last_conv" ? std::string_view(map.last_conv)
                                                      : wish;
  for (const Layer& layer : map.layers)
    if (layer.name == name) return &layer;
  if (map.layers.empty())
    return fail(Errc::unsupported,
                "no heatmap is possible: no value of the model has a picture's form");
  if (name.empty()) return fail(Errc::usage, "the model has no layer '", wish, "'");
  return fail(Errc::usage, "no heatmap layer '", wish.substr(0, 128), "' (auto is '", map.automatic,
              "', ", map.layers.size(), " layers in all)");
}

}  // namespace dermlens::diagnose
