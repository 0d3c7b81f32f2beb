// Operators that move elements without computing: views where the bytes stay, reorders where the
// layout changes, index maps for the rest.
#include "kernels/builder.h"
#include "kernels/index_map.h"

namespace dermlens::kernels {
namespace {

// The constant indices; nobody computes any at run time.
Result<void> lower_gather(Builder& builder, const graph::Node& node, std::size_t axis) {
  const graph::Graph& graph = builder.graph();
  const graph::ValueId indices = node.inputs[1];
  if (!graph.is_constant(indices))
    return fail(Errc::unsupported, "Gather needs constant indices ('", graph.value(indices).name,
                "')");
  const graph::Shape& shape = builder.shape(node.inputs[0]);
  GatherRows rows;
  for (std::size_t i = 0; i < axis; ++i) rows.outer *= static_cast<Bytes>(shape[i]);
  rows.size = static_cast<Bytes>(shape[axis]);
  for (std::size_t i = axis + 1; i < shape.size(); ++i) rows.inner *= static_cast<Bytes>(shape[i]);
  rows.indices.reserve(graph.value(indices).type.elements());
  for (std::int64_t index : graph::to_integers(graph.value(indices))) {
    if (index < 0) index += shape[axis];
    if (index < 0 || index >= shape[axis])
      return fail(Errc::malformed, "Gather index out of range (", index, ", ", shape[axis], ")");
    rows.indices.push_back(static_cast<std::uint32_t>(index));
  }
  const Location x = builder.get_plain(node.inputs[0]);
  const Location y = builder.make(node.output, plain_desc(builder.shape(node.output)));
  builder.emit(node.name, gather(std::move(rows)), {argument(0, x), argument(1, y)});
  return {};
}

}  // namespace

Result<void> lower_transpose(Builder& builder, const graph::Node& node) {
  const auto& permutation = std::get<graph::Transpose>(node.op).permutation;
  const Location x = builder.where(node.inputs[0]);
  // oneDNN wants where each input axis goes, the operator says where each output axis comes from.
  std::vector<int> destination(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i)
    destination[permutation[i]] = static_cast<int>(i);
  const Desc view = destination.empty() ? x.desc : x.desc.permute_axes(destination);
  const Location y = builder.make(node.output, plain_desc(builder.shape(node.output)));
  builder.reorder(node.name, {x.operand, view}, y);
  return {};
}

Result<void> lower_reshape(Builder& builder, const graph::Node& node) {
  const Location x = builder.get_plain(node.inputs[0]);
  builder.place(node.output, x, plain_desc(builder.shape(node.output)));
  return {};
}

Result<void> lower_cast(Builder& builder, const graph::Node& node) {
  const graph::DType from = builder.graph().value(node.inputs[0]).type.dtype;
  const graph::DType to = std::get<graph::Cast>(node.op).to;
  const bool same_numbers =
      graph::is_float(to) && (graph::is_float(from) || from == graph::DType::boolean);
  if (!same_numbers)
    return fail(Errc::unsupported, "Cast from ", graph::to_string(from), " to ",
                graph::to_string(to), " at run time");
  const Location x = builder.where(node.inputs[0]);
  builder.place(node.output, x, x.desc);
  return {};
}

Result<void> lower_concat(Builder& builder, const graph::Node& node) {
  // oneDNN numbers the sources of one primitive; the numbers after them name other arguments.
  constexpr std::size_t kMostSources = DNNL_ARG_MULTIPLE_DST - DNNL_ARG_MULTIPLE_SRC;
  if (node.inputs.size() > kMostSources)
    return fail(Errc::unsupported, "Concat of ", node.inputs.size(), " inputs (at most ",
                kMostSources, ")");
  const auto axis = std::get<graph::Concat>(node.op).axis;
  // Blocks of channels stay whole only if every part is a multiple of the block.
  Desc like = builder.where(node.inputs[0]).desc;
  const auto& blocking = like.data.format_desc.blocking;
  bool keep_blocks = blocking.inner_nblks == 1 && blocking.inner_idxs[0] == 1;
  for (const graph::ValueId input : node.inputs)
    keep_blocks = keep_blocks && builder.shape(input)[1] % blocking.inner_blks[0] == 0;
  const auto layout = [&](graph::ValueId value) {
    return keep_blocks ? blocked_like(like, builder.shape(value))
                       : plain_desc(builder.shape(value));
  };
  std::vector<Desc> sources;
  std::vector<Argument> arguments;
  for (const graph::ValueId input : node.inputs) {
    const Location part = builder.get(input, layout(input));
    arguments.push_back(argument(DNNL_ARG_MULTIPLE_SRC + static_cast<int>(sources.size()), part));
    sources.push_back(part.desc);
  }
  const dnnl::concat::primitive_desc pd(layout(node.output), static_cast<int>(axis), sources,
                                        cpu_engine(), attributes());
  const Location y = builder.make(node.output, layout(node.output));
  arguments.push_back(argument(DNNL_ARG_DST, y));
  builder.emit(node.name, pd, std::move(arguments));
  return {};
}

Result<void> lower_index_map(Builder& builder, const graph::Node& node) {
  const graph::Shape& input = builder.shape(node.inputs[0]);
  const graph::Shape& result = builder.shape(node.output);
  IndexMap map{input, {}, 0};
  if (const auto* gather = std::get_if<graph::Gather>(&node.op)) {
    return lower_gather(builder, node, gather->axis);
  } else if (const auto* slice = std::get_if<graph::Slice>(&node.op)) {
    for (std::size_t i = 0; i < input.size(); ++i) map.axes.push_back(sliced(*slice, i));
  } else if (const auto* back = std::get_if<graph::SliceBackward>(&node.op)) {
    for (std::size_t i = 0; i < input.size(); ++i)
      map.axes.push_back(unsliced(back->slice, i, back->input_shape[i]));
  } else if (const auto* pad = std::get_if<graph::Pad>(&node.op)) {
    map.fill = pad->value;
    for (std::size_t i = 0; i < input.size(); ++i)
      map.axes.push_back(padded(pad->mode, input[i], pad->begin[i], pad->end[i]));
  } else if (std::holds_alternative<graph::Expand>(node.op)) {
    map = expansion(input, result);
  } else {
    return fail(Errc::unsupported, graph::name_of(node.op), " has no kernel");
  }
  const Location x = builder.get_plain(node.inputs[0]);
  const Location y = builder.make(node.output, plain_desc(result));
  builder.emit(node.name, index_map(std::move(map)), {argument(0, x), argument(1, y)});
  return {};
}

}  // namespace dermlens::kernels
