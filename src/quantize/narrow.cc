// Weights of sixteen bits, each followed by a Cast: half the file, and any runtime loads it.
#include <set>

#include "quantize/rewrite.h"

namespace dermlens::quantize {
namespace {

// The first Cast that takes bfloat16.
constexpr std::int64_t kBfloatOpset = 13;

}  // namespace

Result<onnx::Edit> narrow_edit(const onnx::Model& model, graph::DType type) {
  if (type == graph::DType::bf16 && model.opset < kBfloatOpset)
    return fail(Errc::unsupported, "bf16 needs a Cast of opset ", kBfloatOpset,
                " (the model has opset ", model.opset, ")");
  onnx::Edit edit;
  edit.producer = "dermlens";
  std::set<std::string> made;
  const auto visit = [&](const onnx::NodeSummary& node) -> Result<void> {
    for (const std::string& name : node.inputs) {
      const auto id = onnx::find_value(model, name);
      if (!id || made.contains(name) || edit.replaced.contains(name)) continue;
      const graph::Value& value = model.graph.value(*id);
      // A value under another name is what a node makes of the stored tensor.
      if (value.name != name || !value.constant || value.type.shape.size() < 2 ||
          value.constant->stored_as != graph::DType::f32 || value.producer != graph::kNoNode ||
          !value.constant->scale.empty() || !value.constant->zero_point.empty())
        continue;
      TRY(onnx::NewTensor tensor,
          onnx::narrowed(*value.constant, value.type.shape, type,
                         model.files.empty() ? nullptr : model.files.front()));
      const std::string stored = name + "_" + std::string(graph::to_string(type));
      edit.replaced.emplace(name, onnx::Replacement{stored, std::move(tensor)});
      edit.nodes_before[node.index].push_back(
          {"Cast", name + "_Cast", {stored}, {name}, {{"to", std::int64_t{1}}}});
    }
    for (const std::string& name : node.outputs) made.insert(name);
    return {};
  };
  TRY_VOID(onnx::visit_nodes(model.path, visit));
  if (edit.replaced.empty())
    return fail(Errc::usage, "no fp32 weight to store as ", graph::to_string(type));
  return edit;
}

}  // namespace dermlens::quantize
