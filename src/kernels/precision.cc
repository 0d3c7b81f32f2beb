#include "kernels/precision.h"

#include <algorithm>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>

#include "kernels/builder.h"

namespace dermlens::kernels {
namespace {

using graph::DType;

bool has_isa(unsigned wanted) {
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
}

// Follows its input: computes bf16 to bf16 where its own result may be that.
bool passes_on(const graph::Graph& graph, const graph::Node& node, graph::ValueId value) {
  if (const auto* unary = std::get_if<graph::Unary>(&node.op))
    return eltwise_of(*unary).has_value();
  if (const auto* binary = std::get_if<graph::Binary>(&node.op))
    return (binary->fn == graph::BinaryFn::add || binary->fn == graph::BinaryFn::mul) &&
           graph.value(value).type.shape == graph.value(node.output).type.shape;
  return std::holds_alternative<graph::Pool>(node.op);
}

bool is_mean_of_maps(const graph::Graph& graph, const graph::Node& node) {
  const auto* reduce = std::get_if<graph::Reduce>(&node.op);
  if (!reduce || reduce->fn != graph::ReduceFn::mean) return false;
  const graph::Shape& shape = graph.value(node.inputs[0]).type.shape;
  return shape.size() >= 3 && shape.size() <= 5 && reduce->axes.size() == shape.size() - 2 &&
         reduce->axes.front() == 2;
}

// Whether the node reads `value` as bf16 without loss to what comes after.
bool takes_bf16(const graph::Graph& graph, const graph::Node& node, graph::ValueId value,
                const std::vector<bool>& brief) {
  if (std::holds_alternative<graph::Conv>(node.op)) return is_bf16(graph, node);
  if (is_mean_of_maps(graph, node)) return true;
  return brief[node.output] && passes_on(graph, node, value);
}

}  // namespace

bool computes_integers() {
  return has_isa(dnnl_cpu_isa_avx2_vnni) || has_isa(dnnl_cpu_isa_avx512_core_vnni);
}

bool computes_bf16() { return has_isa(dnnl_cpu_isa_avx512_core_bf16); }

std::string_view usual_name(DType type) {
  switch (type) {
    case DType::f32:
      return "fp32";
    case DType::f16:
      return "fp16";
    case DType::i8:
      return "int8";
    default:
      return graph::to_string(type);
  }
}

Precision precision_of(const graph::Graph& graph) {
  std::map<DType, Bytes> elements;
  for (graph::ValueId id = 0; id < graph.value_count(); ++id) {
    const graph::Value& value = graph.value(id);
    if (value.constant && value.type.shape.size() >= 2)
      elements[value.constant->stored_as] += value.type.elements();
  }
  Precision found;
  if (elements.contains(DType::i8)) {
    found.stored = DType::i8;
  } else if (elements.contains(DType::bf16)) {
    found.stored = DType::bf16;
  } else if (!elements.empty()) {
    found.stored = std::ranges::max_element(elements, std::less<>(), [](const auto& entry) {
                     return entry.second;
                   })->first;
  }
  if (found.stored == DType::bf16) {
    if (computes_bf16())
      found.computed = DType::bf16;
    else
      found.warning =
          "the model is bf16 but this CPU has no bf16 arithmetic (avx512_bf16): computed in fp32";
  } else if (found.stored == DType::i8) {
    if (computes_integers())
      found.computed = DType::i8;
    else
      found.warning =
          "the model is int8 but this CPU has no such arithmetic (VNNI): computed in fp32";
  }
  return found;
}

bool is_bf16(const graph::Graph& graph, const graph::Node& node) {
  const bool is_product = std::holds_alternative<graph::Conv>(node.op) ||
                          std::holds_alternative<graph::MatMul>(node.op);
  if (!is_product || !computes_bf16()) return false;
  const auto& weights = graph.value(node.inputs[1]).constant;
  return weights && weights->stored_as == DType::bf16;
}

std::vector<bool> bf16_values(const graph::Graph& graph) {
  std::vector<bool> brief(graph.value_count(), false);
  if (!computes_bf16()) return brief;
  const auto users = graph.users();
  for (std::size_t i = graph.nodes().size(); i-- > 0;) {
    const graph::ValueId value = graph.nodes()[i].output;
    if (graph.is_output(value) || users[value].empty()) continue;
    brief[value] = std::ranges::all_of(users[value], [&](graph::NodeId user) {
      return takes_bf16(graph, graph.node(user), value, brief);
    });
  }
  return brief;
}

}  // namespace dermlens::kernels
