// A Pad in front of a convolution or a pooling becomes its padding, where it is of the kind that
// the operator pads with anyway.
#include <algorithm>
#include <limits>

#include "graph/passes.h"
#include "graph/rewrite.h"

namespace dermlens::graph {
namespace {

constexpr std::size_t kFirstSpatial = 2;

// The Pad that makes `value`, if it adds constants to spatial dimensions only.
const Node* spatial_pad(const Rewrite& rewrite, ValueId value) {
  const auto* pad = rewrite.made_by<Pad>(value);
  if (pad == nullptr || pad->mode != PadMode::constant) return nullptr;
  for (std::size_t axis = 0; axis < pad->begin.size(); ++axis) {
    const bool touched = pad->begin[axis] != 0 || pad->end[axis] != 0;
    const bool crops = pad->begin[axis] < 0 || pad->end[axis] < 0;
    if (crops || (touched && axis < kFirstSpatial)) return nullptr;
  }
  return rewrite.producer(value);
}

void widen(Shape& pads_begin, Shape& pads_end, const Pad& pad) {
  for (std::size_t i = 0; i < pads_begin.size(); ++i) {
    pads_begin[i] += pad.begin[kFirstSpatial + i];
    pads_end[i] += pad.end[kFirstSpatial + i];
  }
}

bool is_unpadded(const PoolGeometry& geometry) {
  const auto is_zero = [](std::int64_t number) { return number == 0; };
  return std::ranges::all_of(geometry.pads_begin, is_zero) &&
         std::ranges::all_of(geometry.pads_end, is_zero);
}

std::optional<Op> with_pad(const Op& op, const Pad& pad) {
  if (const auto* conv = std::get_if<Conv>(&op); conv != nullptr && pad.value == 0) {
    Conv padded = *conv;
    widen(padded.geometry.pads_begin, padded.geometry.pads_end, pad);
    return padded;
  }
  const auto* pool = std::get_if<Pool>(&op);
  if (pool == nullptr) return std::nullopt;
  Pool padded = *pool;
  widen(padded.geometry.pads_begin, padded.geometry.pads_end, pad);
  if (pool->geometry.kind == PoolKind::max)
    return pad.value <= std::numeric_limits<float>::lowest() ? std::optional<Op>(padded)
                                                             : std::nullopt;
  // Zeros that the Pad adds count as elements; so must the operator's own, if there are any.
  const bool counts =
      pool->geometry.kind == PoolKind::average_include_pad || is_unpadded(pool->geometry);
  if (pad.value != 0 || !counts) return std::nullopt;
  padded.geometry.kind = PoolKind::average_include_pad;
  return padded;
}

bool is_accepted(const Rewrite& rewrite, const Op& op, const std::vector<ValueId>& inputs,
                 ValueId output) {
  std::vector<const TensorType*> types;
  types.reserve(inputs.size());
  for (const ValueId input : inputs)
    types.push_back(input == kNoValue ? nullptr : &rewrite.type(input));
  const auto type = infer(op, types);
  return type && *type == rewrite.type(output);
}

}  // namespace

Result<void> fold_pad(Graph& graph) {
  Rewrite rewrite(graph);
  for (std::size_t i = 0; i < rewrite.size(); ++i) {
    const Node& node = *rewrite.node(i);
    if (node.inputs.empty()) continue;
    const Node* pad = spatial_pad(rewrite, node.inputs[0]);
    if (pad == nullptr) continue;
    auto op = with_pad(node.op, std::get<Pad>(pad->op));
    std::vector<ValueId> inputs = node.inputs;
    inputs[0] = pad->inputs[0];
    if (!op || !is_accepted(rewrite, *op, inputs, node.output)) continue;
    rewrite.replace(i, std::move(*op), std::move(inputs));
  }
  return rewrite.finish();
}

}  // namespace dermlens::graph
