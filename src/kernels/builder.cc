// Values, layouts and steps of one lowering.
#include "kernels/builder.h"

#include <algorithm>
#include <limits>

#include "kernels/precision.h"

namespace dermlens::kernels {
namespace {

constexpr std::size_t kForever = std::numeric_limits<std::size_t>::max();

// Row-major and dense, seen through any dimensions: plain strides, or one block of channels where
// everything else is 1 and nothing is padded.
bool is_row_major(const Desc& desc) {
  const dnnl_memory_desc_t& d = desc.data;
  if (d.format_kind != dnnl_blocked || d.offset0 != 0) return false;
  const auto& blocking = d.format_desc.blocking;
  dnnl_dim_t other_than_blocked = 1;
  for (int i = 0; i < d.ndims; ++i) {
    if (d.padded_dims[i] != d.dims[i]) return false;
    if (blocking.inner_nblks != 1 || i != blocking.inner_idxs[0]) other_than_blocked *= d.dims[i];
  }
  if (blocking.inner_nblks == 1) return other_than_blocked == 1;
  if (blocking.inner_nblks != 0) return false;
  dnnl_dim_t expected = 1;
  for (int i = d.ndims - 1; i >= 0; --i) {
    if (d.dims[i] != 1 && blocking.strides[i] != expected) return false;
    expected *= d.dims[i];
  }
  return true;
}

Bytes element_count(const Desc& desc) {
  Bytes total = 1;
  for (int i = 0; i < desc.data.ndims; ++i) total *= static_cast<Bytes>(desc.data.dims[i]);
  return total;
}

// Which nodes run in the forward part: those that an output needs which no late input reaches.
std::vector<bool> early_nodes(const graph::Graph& graph) {
  std::vector<bool> late_value(graph.value_count(), false);
  for (const graph::Input& input : graph.inputs()) late_value[input.value] = input.late;
  for (const graph::Node& node : graph.nodes())
    for (const graph::ValueId input : node.inputs)
      if (input != graph::kNoValue && late_value[input]) late_value[node.output] = true;
  std::vector<bool> wanted(graph.value_count(), false);
  for (const graph::ValueId output : graph.outputs())
    if (!late_value[output]) wanted[output] = true;
  std::vector<bool> early(graph.nodes().size(), false);
  for (std::size_t i = graph.nodes().size(); i-- > 0;) {
    const graph::Node& node = graph.nodes()[i];
    if (!wanted[node.output]) continue;
    early[i] = true;
    for (const graph::ValueId input : node.inputs)
      if (input != graph::kNoValue) wanted[input] = true;
  }
  return early;
}

}  // namespace

bool same_bytes(const Desc& a, const Desc& b) {
  if (a == b) return true;
  return a.data.data_type == b.data.data_type && is_row_major(a) && is_row_major(b) &&
         element_count(a) == element_count(b);
}

Desc channels_last(const graph::Shape& shape, Type type) {
  switch (shape.size()) {
    case 3:
      return {to_dims(shape), type, Tag::nwc};
    case 4:
      return {to_dims(shape), type, Tag::nhwc};
    case 5:
      return {to_dims(shape), type, Tag::ndhwc};
    default:
      return plain_desc(shape, type);
  }
}

bool is_reference(const dnnl::primitive_desc_base& pd) {
  return std::string_view(pd.impl_info_str()).find("ref") != std::string_view::npos;
}

graph::Shape padded_to(const graph::Shape& shape, std::size_t rank) {
  graph::Shape padded(rank > shape.size() ? rank - shape.size() : 0, 1);
  padded.insert(padded.end(), shape.begin(), shape.end());
  return padded;
}

Desc blocked_like(const Desc& desc, const graph::Shape& dims) {
  const auto& blocking = desc.data.format_desc.blocking;
  if (blocking.inner_nblks != 1 || blocking.inner_idxs[0] != 1) return plain_desc(dims);
  const bool sixteen = blocking.inner_blks[0] == 16;
  if (!sixteen && blocking.inner_blks[0] != 8) return plain_desc(dims);
  if (dims[1] == 1) return plain_desc(dims);
  switch (dims.size()) {
    case 3:
      return {to_dims(dims), Type::f32, sixteen ? Tag::nCw16c : Tag::nCw8c};
    case 4:
      return {to_dims(dims), Type::f32, sixteen ? Tag::nChw16c : Tag::nChw8c};
    case 5:
      return {to_dims(dims), Type::f32, sixteen ? Tag::nCdhw16c : Tag::nCdhw8c};
    default:
      return plain_desc(dims);
  }
}

dnnl::memory::dims to_dims(const graph::Shape& shape) {
  return shape.empty() ? dnnl::memory::dims{1} : dnnl::memory::dims(shape.begin(), shape.end());
}

Desc with_type(const Desc& desc, Type type) {
  dnnl_memory_desc_t data = desc.data;
  data.data_type = static_cast<dnnl_data_type_t>(type);
  return Desc(data);
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

Builder::Builder(const graph::Graph& graph)
    : graph_(graph),
      locations_(graph.value_count()),
      last_use_(graph.value_count(), 0),
      users_(graph.users()),
      brief_(bf16_values(graph)) {
  const std::vector<bool> early = early_nodes(graph);
  for (const bool part : {true, false}) {
    for (graph::NodeId id = 0; id < graph.nodes().size(); ++id)
      if (early[id] == part) order.push_back(id);
    if (part) early_count = order.size();
  }
  for (std::size_t position = 0; position < order.size(); ++position)
    for (const graph::ValueId input : graph.node(order[position]).inputs)
      if (input != graph::kNoValue) last_use_[input] = position;
  for (const graph::ValueId output : graph.outputs()) last_use_[output] = kForever;
  // Who reads a dequantized value may read its integers instead.
  for (std::size_t position = order.size(); position-- > 0;) {
    const graph::Node& node = graph.node(order[position]);
    if (!std::holds_alternative<graph::Dequantize>(node.op)) continue;
    std::size_t& integers = last_use_[node.inputs[0]];
    integers = std::max(integers, last_use_[node.output]);
  }
  for (const graph::Input& input : graph.inputs()) {
    late_ = input.late;
    const Location location = make(input.value, plain_desc(shape(input.value)));
    lowered_.inputs.push_back(location.operand.index);
    lowered_.input_is_late.push_back(input.late);
  }
}

void Builder::begin(graph::NodeId node, bool late) {
  late_ = late;
  while (order[position_] != node) ++position_;
}

Location Builder::where(graph::ValueId value) {
  const Location made = where_made(value);
  if (made.desc.data_type() != Type::bf16) return made;
  return get(value, with_type(made.desc, Type::f32));
}

Location Builder::where_made(graph::ValueId value) {
  if (!locations_[value].empty()) return locations_[value].front();
  if (const auto integers = quantized(value)) {
    dnnl::primitive_attr attr = attributes();
    attr.set_output_scales(0, {integers->scale});
    const Location real = make(value, with_type(integers->location.desc, Type::f32));
    const dnnl::reorder::primitive_desc pd(cpu_engine(), integers->location.desc, cpu_engine(),
                                           real.desc, attr);
    emit(graph_.value(value).name, pd,
         {argument(DNNL_ARG_FROM, integers->location), argument(DNNL_ARG_TO, real)});
    return real;
  }
  const Desc plain = plain_desc(shape(value));
  return weight(value, plain, plain);
}

Location Builder::get(graph::ValueId value, const Desc& desc) {
  if (graph_.is_constant(value)) return weight(value, plain_desc(desc.dims()), desc);
  for (const Location& location : locations_[value])
    if (same_bytes(location.desc, desc)) return {location.operand, desc};
  Location from = where_made(value);
  if (from.desc.dims() != desc.dims()) {
    // Another shape of the same elements goes through the row-major form.
    from = get(value, plain_desc(shape(value), desc.data_type()));
    from.desc = plain_desc(desc.dims(), desc.data_type());
  }
  const Location to = new_buffer(desc);
  buffer_state_[to.operand.index].values.push_back(value);
  reorder(graph_.value(value).name, from, to);
  locations_[value].push_back(to);
  return to;
}

std::optional<Builder::Quantized> Builder::quantized(graph::ValueId value) const {
  const auto found = lazy_.find(value);
  if (found == lazy_.end()) return std::nullopt;
  Quantized integers = found->second;
  integers.location = locations_[integers.value].front();
  return integers;
}

void Builder::place_lazily(graph::ValueId value, graph::ValueId integers, float scale) {
  lazy_[value] = {integers, {}, scale};
}

std::optional<graph::NodeId> Builder::only_quantize(graph::ValueId value) const {
  if (graph_.is_output(value) || users_[value].size() != 1) return std::nullopt;
  const graph::NodeId user = users_[value].front();
  const graph::Node& node = graph_.node(user);
  if (!std::holds_alternative<graph::Quantize>(node.op) || !symmetric_scale(graph_, node))
    return std::nullopt;
  return user;
}

Location Builder::weight(graph::ValueId value, const Desc& source, const Desc& target) {
  return weight(Weight{value, source, target, target.get_size(), false, {}});
}

Location Builder::weight(Weight wanted) {
  const Desc target = wanted.target;
  for (WeightId id = 0; id < lowered_.weights.size(); ++id) {
    const Weight& weight = lowered_.weights[id];
    if (weight.value == wanted.value && weight.source == wanted.source && weight.target == target &&
        weight.as_stored == wanted.as_stored && weight.factor == wanted.factor)
      return {{Operand::Kind::weight, id}, target};
  }
  lowered_.weights.push_back(std::move(wanted));
  const auto id = static_cast<WeightId>(lowered_.weights.size() - 1);
  return {{Operand::Kind::weight, id}, target};
}

Location Builder::new_buffer(const Desc& desc) {
  lowered_.buffers.push_back({desc.get_size()});
  buffer_state_.push_back({late_, {}});
  const auto id = static_cast<BufferId>(lowered_.buffers.size() - 1);
  return {{Operand::Kind::buffer, id}, desc};
}

Location Builder::make(graph::ValueId value, const Desc& desc) {
  return place(value, new_buffer(desc), desc);
}

Location Builder::place(graph::ValueId value, const Location& location, const Desc& desc) {
  if (location.operand.kind == Operand::Kind::buffer)
    buffer_state_[location.operand.index].values.push_back(value);
  locations_[value].push_back({location.operand, desc});
  return locations_[value].back();
}

bool Builder::may_overwrite(const Location& location) const {
  if (location.operand.kind != Operand::Kind::buffer) return false;
  const BufferState& state = buffer_state_[location.operand.index];
  // backward() may run again: it must find what forward() left.
  if (state.late != late_) return false;
  return std::ranges::all_of(
      state.values, [this](graph::ValueId value) { return last_use_[value] <= position_; });
}

bool Builder::lies_in(graph::ValueId value, const Location& location) const {
  return std::ranges::any_of(locations_[value], [&](const Location& other) {
    return other.operand.kind == Operand::Kind::buffer &&
           other.operand.index == location.operand.index;
  });
}

bool Builder::other_input_in(const graph::Node& node, std::size_t index,
                             const Location& location) const {
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (i == index || node.inputs[i] == graph::kNoValue) continue;
    if (lies_in(node.inputs[i], location)) return true;
    // A dequantized value may be read as its integers, or as fp32 where those were converted.
    const auto lazy = lazy_.find(node.inputs[i]);
    if (lazy != lazy_.end() && lies_in(lazy->second.value, location)) return true;
  }
  return false;
}

Location Builder::temporary(const Desc& desc) { return new_buffer(desc); }

void Builder::emit(std::string_view name, const dnnl::primitive_desc_base& pd,
                   std::vector<Argument> arguments) {
  const Desc scratch = pd.query_md(dnnl::query::exec_arg_md, DNNL_ARG_SCRATCHPAD);
  lowered_.steps.push_back({std::string(name), pd, std::move(arguments), scratch.get_size()});
}

void Builder::emit(std::string_view name, Native kernel, std::vector<Argument> arguments) {
  lowered_.steps.push_back({std::string(name), std::move(kernel), std::move(arguments), 0});
}

void Builder::reorder(std::string_view name, const Location& from, const Location& to) {
  const dnnl::engine& engine = cpu_engine();
  const dnnl::reorder::primitive_desc pd(engine, from.desc, engine, to.desc, attributes());
  emit(name, pd, {argument(DNNL_ARG_FROM, from), argument(DNNL_ARG_TO, to)});
}

Lowered Builder::finish(std::size_t late_begin) && {
  lowered_.late_begin = late_begin;
  for (const graph::ValueId output : graph_.outputs())
    lowered_.outputs.push_back(get_plain(output).operand);
  return std::move(lowered_);
}

}  // namespace dermlens::kernels
