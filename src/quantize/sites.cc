#include "quantize/sites.h"

#include <algorithm>

#include "graph/passes.h"
#include "onnx/writer.h"

namespace dermlens::quantize {
namespace {

using graph::Shape;
using onnx::NodeSummary;

constexpr std::int64_t kPixelChannels = 4;

bool is_map(const Shape& shape) {
  return shape.size() == 4 && shape[0] == 1 && shape[2] * shape[3] > 1;
}

bool is_single_pixel(const Shape& shape) {
  return shape.size() == 4 && shape[2] == 1 && shape[3] == 1;
}

class Finder {
 public:
  Finder(const diagnose::Network& network, Sites& out) : network_(network), out_(out) {}

  Result<void> run() {
    graph::Graph folded = network_.model.graph;
    TRY_VOID(graph::fold_constants(folded));
    out_.graph = std::make_shared<const graph::Graph>(std::move(folded));
    TRY_VOID(onnx::visit_nodes(network_.model.path, [this](const NodeSummary& node) {
      nodes_.push_back(node);
      return Result<void>();
    }));
    for (const NodeSummary& node : nodes_) {
      for (const std::string& input : node.inputs) out_.readers[input].push_back(node.index);
      for (const std::string& output : node.outputs) out_.makers[output] = node.index;
    }
    for (const NodeSummary& node : nodes_)
      if (node.op_type == "Conv") add(node);
    // The heatmap's tail stays exact.
    if (!out_.sites.empty() && last_map_conv_ == out_.sites.back().node) out_.sites.pop_back();
    return {};
  }

 private:
  const graph::Value* find(const std::string& name) {
    const auto id = onnx::find_value(network_.model, name);
    if (!id) return nullptr;
    out_.values[name] = *id;
    return &out_.graph->value(*id);
  }

  void add(const NodeSummary& node) {
    if (node.inputs.size() < 2 || node.outputs.empty()) return;
    const graph::Value* x = find(node.inputs[0]);
    const graph::Value* w = find(node.inputs[1]);
    if (!x || !w || !is_map(x->type.shape)) return;
    last_map_conv_ = node.index;
    if (x->constant || !w->constant || x->type.shape[1] <= kPixelChannels) return;
    Site site;
    site.node = node.index;
    site.name = node.outputs[0];
    site.activation = node.inputs[0];
    site.weight = node.inputs[1];
    if (!find_initializer(site)) return;
    if (node.inputs.size() > 2 && !out_.makers.contains(node.inputs[2]) &&
        out_.readers[node.inputs[2]].size() == 1 && find(node.inputs[2]))
      site.bias = node.inputs[2];
    if (const graph::Value* y = find(site.name); y && is_map(y->type.shape))
      site.work = static_cast<double>(w->type.elements()) *
                  static_cast<double>(y->type.shape[2] * y->type.shape[3]);
    find_scaled(site);
    out_.sites.push_back(std::move(site));
  }

  // Through one Cast at most, read by nobody else.
  bool find_initializer(Site& site) {
    site.initializer = site.weight;
    site.reader = site.node;
    if (out_.readers[site.weight].size() != 1) return false;
    const auto maker = out_.makers.find(site.weight);
    if (maker == out_.makers.end()) return true;
    const NodeSummary& cast = nodes_[maker->second];
    if (cast.op_type != "Cast" || out_.makers.contains(cast.inputs[0]) ||
        out_.readers[cast.inputs[0]].size() != 1)
      return false;
    site.initializer = cast.inputs[0];
    site.reader = cast.index;
    return true;
  }

  void find_scaled(Site& site) {
    const auto maker = out_.makers.find(site.activation);
    if (maker == out_.makers.end()) return;
    const NodeSummary& node = nodes_[maker->second];
    if (node.op_type != "Mul" || node.inputs.size() != 2) return;
    for (std::size_t i = 0; i < 2; ++i) {
      const graph::Value* large = find(node.inputs[i]);
      const graph::Value* small = find(node.inputs[1 - i]);
      if (large && small && is_map(large->type.shape) && !small->constant &&
          is_single_pixel(small->type.shape))
        site.scaled.push_back(node.inputs[i]);
    }
  }

  const diagnose::Network& network_;
  Sites& out_;
  std::vector<NodeSummary> nodes_;
  std::size_t last_map_conv_ = 0;
};

}  // namespace

Result<Sites> find_sites(const diagnose::Network& network) {
  Sites sites;
  TRY_VOID(Finder(network, sites).run());
  return sites;
}

}  // namespace dermlens::quantize
