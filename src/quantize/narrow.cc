// Weights of sixteen bits, each followed by a Cast: half the file, and any runtime loads it.
#include <algorithm>
#include <set>

#include "quantize/rewrite.h"

namespace dermlens::quantize {
namespace {

using onnx::NodeSummary;

// The first Cast that takes bfloat16.
constexpr std::int64_t kBfloatOpset = 13;

bool is_product(const NodeSummary& node) {
  return node.op_type == "Conv" || node.op_type == "Gemm" || node.op_type == "MatMul" ||
         node.op_type == "ConvTranspose";
}

class Narrowing {
 public:
  Narrowing(const onnx::Model& model, graph::DType type) : model_(model), type_(type) {}

  Result<Narrowed> run(const std::string& tail_from) {
    TRY_VOID(onnx::visit_nodes(model_.path, [this](const NodeSummary& node) {
      nodes_.push_back(node);
      return Result<void>();
    }));
    for (const NodeSummary& node : nodes_) {
      for (const std::string& name : node.inputs) readers_[name].push_back(node.index);
      for (const std::string& name : node.outputs) makers_[name] = node.index;
    }
    if (!tail_from.empty()) {
      keep_tail(tail_from);
      keep_first();
    }
    out_.edit.producer = "dermlens";
    for (const auto& [name, readers] : readers_) TRY_VOID(narrow(name, readers));
    return std::move(out_);
  }

 private:
  // What makes the value, back to the nearest products, and all that follows from it.
  void keep_tail(const std::string& value) {
    std::set<std::string> after{value};
    for (const NodeSummary& node : nodes_) {
      const bool follows = std::ranges::any_of(
          node.inputs, [&](const std::string& name) { return after.contains(name); });
      if (!follows) continue;
      tail_.insert(node.index);
      after.insert(node.outputs.begin(), node.outputs.end());
    }
    std::vector<std::string> open{value};
    while (!open.empty()) {
      const auto maker = makers_.find(open.back());
      open.pop_back();
      if (maker == makers_.end() || !tail_.insert(maker->second).second) continue;
      const NodeSummary& node = nodes_[maker->second];
      if (!is_product(node)) open.insert(open.end(), node.inputs.begin(), node.inputs.end());
    }
  }

  // The products that read the network's own inputs: pixels have more than eight bits when they are
  // normalised.
  void keep_first() {
    std::set<std::string> plain;
    for (const graph::Input& input : model_.graph.inputs())
      plain.insert(model_.graph.value(input.value).name);
    for (const NodeSummary& node : nodes_) {
      const bool follows = std::ranges::any_of(
          node.inputs, [&](const std::string& name) { return plain.contains(name); });
      if (!follows) continue;
      if (is_product(node))
        tail_.insert(node.index);
      else
        plain.insert(node.outputs.begin(), node.outputs.end());
    }
  }

  // Read by the tail, directly or through a Cast.
  bool is_of_tail(const std::vector<std::size_t>& readers) const {
    return std::ranges::any_of(readers, [this](std::size_t reader) {
      if (tail_.contains(reader)) return true;
      const NodeSummary& node = nodes_[reader];
      const auto next = node.outputs.empty() ? readers_.end() : readers_.find(node.outputs[0]);
      return node.op_type == "Cast" && next != readers_.end() &&
             std::ranges::any_of(next->second, [this](std::size_t i) { return tail_.contains(i); });
    });
  }

  bool only_casts(const std::vector<std::size_t>& readers) const {
    return std::ranges::all_of(readers,
                               [this](std::size_t i) { return nodes_[i].op_type == "Cast"; });
  }

  Result<void> narrow(const std::string& name, const std::vector<std::size_t>& readers) {
    const auto id = onnx::find_value(model_, name);
    if (!id || makers_.contains(name)) return {};
    const graph::Value& value = model_.graph.value(*id);
    // A value under another name is what a node makes of the stored tensor.
    if (value.name != name || !value.constant || value.type.shape.size() < 2 ||
        value.producer != graph::kNoNode || !value.constant->scale.empty() ||
        !value.constant->zero_point.empty())
      return {};
    const graph::DType stored = value.constant->stored_as;
    if (stored == type_) ++out_.already;
    const bool is_wide = stored == graph::DType::f32;
    const bool is_half = stored == graph::DType::f16 && type_ == graph::DType::bf16;
    if (!is_wide && !(is_half && only_casts(readers))) return {};
    if (is_of_tail(readers)) {
      ++out_.kept;
      return {};
    }
    TRY(onnx::NewTensor tensor,
        onnx::narrowed(*value.constant, value.type.shape, type_,
                       model_.files.empty() ? nullptr : model_.files.front()));
    const std::string new_name = name + "_" + std::string(graph::to_string(type_));
    ++out_.narrowed;
    out_.edit.replaced.emplace(name, onnx::Replacement{new_name, std::move(tensor)});
    if (is_wide) {
      out_.edit.nodes_before[readers.front()].push_back(
          {"Cast", name + "_Cast", {new_name}, {name}, {{"to", std::int64_t{1}}}});
      return {};
    }
    for (const std::size_t reader : readers) out_.edit.redirected[reader][name] = new_name;
    return {};
  }

  const onnx::Model& model_;
  graph::DType type_;
  Narrowed out_;
  std::vector<NodeSummary> nodes_;
  std::map<std::string, std::vector<std::size_t>> readers_;
  std::map<std::string, std::size_t> makers_;
  std::set<std::size_t> tail_;  // nodes whose weights stay as they are
};

}  // namespace

Result<Narrowed> narrow_edit(const onnx::Model& model, graph::DType type,
                             const std::string& tail_from) {
  TRY_VOID(check_source(model, type));
  if (type == graph::DType::bf16 && model.opset < kBfloatOpset)
    return fail(Errc::unsupported, "bf16 needs a Cast of opset ", kBfloatOpset,
                " (the model has opset ", model.opset, ")");
  TRY(Narrowed out, Narrowing(model, type).run(tail_from));
  if (out.narrowed == 0 && out.already == 0)
    return fail(Errc::usage, "no weight to store as ", graph::to_string(type));
  return out;
}

}  // namespace dermlens::quantize
