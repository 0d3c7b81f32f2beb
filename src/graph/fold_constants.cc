// Nodes whose operands are all constant become constants. Large ones only where a recipe says it
// all (a cast, a reshape, a de-quantization), so that no weight ever becomes an array here.
#include <algorithm>
#include <numeric>

#include "graph/passes.h"
#include "graph/reference.h"
#include "graph/rewrite.h"

namespace dermlens::graph {
namespace {

// Multiplications that the folds of one graph may cost; a hostile model asks for a window of a
// million taps, or for ten thousand of them.
constexpr Bytes kMaxFoldedWork = Bytes{1} << 26;

bool is_plain(const Constant& constant) {
  return constant.scale.empty() && constant.zero_point.empty();
}

bool is_per_axis(const Constant& constant) {
  return constant.scale.size() > 1 || constant.zero_point.size() > 1;
}

Bytes product(const Shape& shape, std::size_t first) {
  Bytes elements = 1;
  for (std::size_t axis = first; axis < shape.size(); ++axis)
    elements *= static_cast<Bytes>(shape[axis]);
  return elements;
}

// The axis of `after` whose index is the same number for every element as that of `axis` in
// `before`.
std::optional<std::size_t> same_axis(const Shape& before, std::size_t axis, const Shape& after) {
  for (std::size_t i = 0; i < after.size(); ++i)
    if (after[i] == before[axis] && product(after, i + 1) == product(before, axis + 1)) return i;
  return std::nullopt;
}

std::optional<Constant> fold_cast(const Value& x, const Cast& op) {
  const bool exact = is_float(x.type.dtype) || x.constant->stored_as == x.type.dtype;
  if (!is_float(op.to) || !exact) return std::nullopt;
  return x.constant;
}

std::optional<Constant> fold_reshape(const Value& x, const Reshape& op) {
  Constant constant = *x.constant;
  if (!is_per_axis(constant)) return constant;
  const auto axis = same_axis(x.type.shape, constant.axis, op.shape);
  if (!axis) return std::nullopt;
  constant.axis = *axis;
  return constant;
}

std::optional<Constant> fold_dequantize(const Graph& graph, const Node& node,
                                        const Dequantize& op) {
  const Value& x = graph.value(node.inputs[0]);
  if (!is_plain(*x.constant) || is_float(x.constant->stored_as)) return std::nullopt;
  Constant constant = *x.constant;
  constant.axis = op.axis;
  constant.scale = to_floats(graph.value(node.inputs[1]));
  if (node.inputs[2] != kNoValue) constant.zero_point = to_floats(graph.value(node.inputs[2]));
  return constant;
}

std::optional<Constant> fold_recipe(const Graph& graph, const Node& node) {
  if (node.inputs.empty() || node.inputs[0] == kNoValue) return std::nullopt;
  const Value& x = graph.value(node.inputs[0]);
  if (const auto* cast = std::get_if<Cast>(&node.op)) return fold_cast(x, *cast);
  if (const auto* reshape = std::get_if<Reshape>(&node.op)) return fold_reshape(x, *reshape);
  if (const auto* dequantize = std::get_if<Dequantize>(&node.op))
    return fold_dequantize(graph, node, *dequantize);
  return std::nullopt;
}

// Multiplications for one element of the result; only the order of magnitude matters.
Bytes work_an_element(const Graph& graph, const Node& node) {
  const auto window = [](const PoolGeometry& geometry) {
    Bytes taps = 1;
    for (const std::int64_t size : geometry.kernel)
      taps = std::min(taps, kMaxFoldedWork) * static_cast<Bytes>(size);
    return taps;
  };
  const auto operand = [&](std::size_t i) { return graph.value(node.inputs[i]).type.elements(); };
  if (const auto* pool = std::get_if<Pool>(&node.op)) return window(pool->geometry);
  if (const auto* pool = std::get_if<PoolBackward>(&node.op)) return window(pool->geometry);
  const bool product = std::holds_alternative<Conv>(node.op) ||
                       std::holds_alternative<ConvBackwardData>(node.op) ||
                       std::holds_alternative<MatMul>(node.op);
  return product ? std::max(operand(0), operand(1)) : 1;
}

// What folding the node costs, or nothing where an operand or the result is too large for it.
std::optional<Bytes> work_of(const Graph& graph, const Node& node) {
  const Bytes elements = graph.value(node.output).type.elements();
  if (elements > kMaxFoldedElements) return std::nullopt;
  Bytes read = 0;
  for (const ValueId input : node.inputs) {
    if (input == kNoValue) continue;
    const Bytes operand = graph.value(input).type.elements();
    if (operand > kMaxFoldedElements) return std::nullopt;
    read += operand;
  }
  const Bytes each = work_an_element(graph, node);
  if (each > kMaxFoldedWork) return std::nullopt;
  return read + elements * each;
}

Result<Constant> compute(const Graph& graph, const Node& node) {
  std::vector<Tensor> tensors;
  tensors.reserve(node.inputs.size());
  std::vector<const Tensor*> operands;
  for (const ValueId input : node.inputs) {
    if (input != kNoValue) tensors.push_back(tensor_of(graph.value(input)));
    operands.push_back(input == kNoValue ? nullptr : &tensors.back());
  }
  auto result = evaluate(node.op, operands);
  if (!result) return within(node.name, std::move(result).error());
  return constant_of(*result);
}

}  // namespace

Result<void> fold_constants(Graph& graph) {
  Rewrite rewrite(graph);
  Bytes left = kMaxFoldedTotal, work_left = kMaxFoldedWork;
  for (std::size_t i = 0; i < rewrite.size(); ++i) {
    const Node& node = *rewrite.node(i);
    const bool constant = std::ranges::all_of(
        node.inputs, [&](ValueId input) { return input == kNoValue || graph.is_constant(input); });
    if (!constant) continue;
    std::optional<Constant> folded = fold_recipe(graph, node);
    const Bytes elements = graph.value(node.output).type.elements();
    const auto work = folded ? std::nullopt : work_of(graph, node);
    if (work && elements <= left && *work <= work_left) {
      TRY(folded, compute(graph, node));
      left -= elements;
      work_left -= *work;
    }
    if (!folded) continue;
    TRY_VOID(graph.make_constant(node.output, std::move(*folded)));
    rewrite.erase(i);
  }
  return rewrite.finish();
}

}  // namespace dermlens::graph
