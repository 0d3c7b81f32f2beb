// Building and rewriting a graph. Types are inferred as nodes are added, so a graph that exists has
// been checked; verify() guards against our own passes.
#include "graph/graph.h"

#include <algorithm>

namespace dermlens::graph {
namespace {

template <class Number>
Constant own_copy(std::span<const Number> values, DType type) {
  const auto bytes = std::as_bytes(values);
  auto copy = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
  Constant constant;
  constant.stored_as = type;
  constant.stored = *copy;
  constant.owner = std::move(copy);
  return constant;
}

Result<void> expect_recipe(const std::vector<float>& numbers, std::size_t axis,
                           const Shape& shape) {
  if (numbers.size() <= 1) return {};
  if (axis >= shape.size() || !std::cmp_equal(shape[axis], numbers.size()))
    return fail(Errc::malformed, "scale or zero point does not fit its axis (", numbers.size(),
                ", ", to_string(shape), ", axis ", axis, ")");
  return {};
}

Result<void> expect_sound(const Constant& constant, const TensorType& type) {
  TRY(const Bytes elements, count(type.shape));
  const Bytes needed = elements * size_of(constant.stored_as);
  if (constant.stored.size() != needed)
    return fail(Errc::malformed, "bytes do not fit the shape (", constant.stored.size(), ", ",
                needed, ", ", to_string(constant.stored_as), to_string(type.shape), ")");
  TRY_VOID(expect_recipe(constant.scale, constant.axis, type.shape));
  return expect_recipe(constant.zero_point, constant.axis, type.shape);
}

// The inputs an operator has beside those of its post-ops, where the last of them are optional.
std::size_t own_inputs(const Op& op) {
  const bool three = std::holds_alternative<Conv>(op) || std::holds_alternative<MatMul>(op) ||
                     std::holds_alternative<Quantize>(op) || std::holds_alternative<Dequantize>(op);
  return three ? 3 : 0;
}

Result<TensorType> infer_node(const Graph& graph, const Op& op, std::span<const ValueId> inputs) {
  std::vector<const TensorType*> types;
  types.reserve(inputs.size());
  for (const ValueId input : inputs)
    types.push_back(input == kNoValue ? nullptr : &graph.value(input).type);
  return infer(op, types);
}

}  // namespace

std::string Graph::unique_name(std::string_view wish) {
  std::string name(wish.empty() ? "value" : wish);
  if (!wish.empty() && !by_name_.contains(name)) return name;
  // The number of values is nearly always a fresh suffix, so many equal names cost no search.
  const std::string stem = name + "_";
  std::size_t suffix = values_.size();
  do {
    name = stem + std::to_string(suffix++);
  } while (by_name_.contains(name));
  return name;
}

ValueId Graph::append_value(std::string_view name, TensorType type) {
  const auto id = static_cast<ValueId>(values_.size());
  Value value;
  value.name = unique_name(name);
  value.type = std::move(type);
  by_name_.emplace(value.name, id);
  values_.push_back(std::move(value));
  return id;
}

Result<ValueId> Graph::add_input(std::string_view name, TensorType type, bool late) {
  if (const auto elements = count(type.shape); !elements) return within(name, elements.error());
  const ValueId id = append_value(name, std::move(type));
  inputs_.push_back({id, late});
  return id;
}

Result<ValueId> Graph::add_constant(std::string_view name, TensorType type, Constant constant) {
  if (auto sound = expect_sound(constant, type); !sound)
    return within(name, std::move(sound).error());
  const ValueId id = append_value(name, std::move(type));
  values_[id].constant = std::move(constant);
  return id;
}

ValueId Graph::add_constant(std::string_view name, const Shape& shape,
                            std::span<const float> values) {
  const auto id = add_constant(name, {DType::f32, shape}, own_copy(values, DType::f32));
  CHECK(id.has_value());
  return *id;
}

ValueId Graph::add_constant(std::string_view name, const Shape& shape,
                            std::span<const std::int64_t> values) {
  const auto id = add_constant(name, {DType::i64, shape}, own_copy(values, DType::i64));
  CHECK(id.has_value());
  return *id;
}

Result<ValueId> Graph::add(Op op, std::vector<ValueId> inputs, std::string_view name) {
  if (operand_count(post_ops_of(op)) == 0)
    while (inputs.size() < own_inputs(op)) inputs.push_back(kNoValue);
  auto type = infer_node(*this, op, inputs);
  if (!type) return within(name.empty() ? "unnamed node" : name, std::move(type).error());
  const ValueId output = append_value(name.empty() ? name_of(op) : name, std::move(*type));
  Node node{std::move(op), std::move(inputs), output, values_[output].name};
  values_[output].producer = static_cast<NodeId>(nodes_.size());
  nodes_.push_back(std::move(node));
  return output;
}

void Graph::add_output(ValueId value) {
  if (!is_output(value)) outputs_.push_back(value);
}

std::optional<ValueId> Graph::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

bool Graph::is_output(ValueId value) const {
  return std::ranges::find(outputs_, value) != outputs_.end();
}

std::vector<std::vector<NodeId>> Graph::users() const {
  std::vector<std::vector<NodeId>> users(values_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    for (const ValueId input : nodes_[i].inputs)
      if (input != kNoValue && (users[input].empty() || users[input].back() != id))
        users[input].push_back(id);
  }
  return users;
}

void Graph::replace_nodes(std::vector<Node> nodes) {
  nodes_ = std::move(nodes);
  std::vector<bool> mentioned(values_.size(), false);
  for (Value& value : values_) value.producer = kNoNode;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    values_[nodes_[i].output].producer = static_cast<NodeId>(i);
    mentioned[nodes_[i].output] = true;
    for (const ValueId input : nodes_[i].inputs)
      if (input != kNoValue) mentioned[input] = true;
  }
  for (const Input& input : inputs_) mentioned[input.value] = true;
  for (const ValueId output : outputs_) mentioned[output] = true;
  for (std::size_t id = 0; id < values_.size(); ++id) {
    if (mentioned[id]) continue;
    by_name_.erase(values_[id].name);
    values_[id] = {};
  }
}

void Graph::rename(ValueId value, std::string_view name) {
  std::string wanted(name);
  if (values_[value].name == wanted) return;
  by_name_.erase(values_[value].name);
  if (const auto holder = by_name_.find(wanted); holder != by_name_.end()) {
    const ValueId other = holder->second;
    values_[other].name = unique_name(wanted);
    by_name_.emplace(values_[other].name, other);
  }
  values_[value].name = wanted;
  by_name_.insert_or_assign(std::move(wanted), value);
}

Result<void> Graph::make_constant(ValueId value, Constant constant) {
  if (auto sound = expect_sound(constant, values_[value].type); !sound)
    return within(values_[value].name, std::move(sound).error());
  values_[value].producer = kNoNode;
  values_[value].constant = std::move(constant);
  return {};
}

namespace {

// One walk over the graph in running order, remembering which values exist already.
class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), defined_(graph.value_count(), false) {}

  Result<void> run() {
    for (const Input& input : graph_.inputs()) TRY_VOID(define(input.value, kNoNode, "input"));
    for (std::size_t id = 0; id < graph_.value_count(); ++id)
      if (graph_.is_constant(static_cast<ValueId>(id)))
        TRY_VOID(check_constant(static_cast<ValueId>(id)));
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i)
      TRY_VOID(check_node(static_cast<NodeId>(i)));
    for (const ValueId output : graph_.outputs())
      if (output >= defined_.size() || !defined_[output])
        return fail(Errc::internal, "output is never made (", label(output), ")");
    return check_leftovers();
  }

 private:
  std::string label(ValueId id) const {
    return id < graph_.value_count() ? graph_.value(id).name + " #" + std::to_string(id)
                                     : "#" + std::to_string(id);
  }

  Result<void> define(ValueId id, NodeId producer, std::string_view place) {
    if (id >= graph_.value_count())
      return fail(Errc::internal, place, ": value does not exist (", id, ", ", graph_.value_count(),
                  ")");
    const Value& value = graph_.value(id);
    if (defined_[id]) return fail(Errc::internal, place, ": value is made twice (", label(id), ")");
    if (value.producer != producer)
      return fail(Errc::internal, place, ": value names another producer (", label(id), ")");
    if (value.name.empty() || graph_.find(value.name) != id)
      return fail(Errc::internal, place, ": value is not found by its name (", label(id), ")");
    defined_[id] = true;
    return {};
  }

  Result<void> check_constant(ValueId id) {
    const Value& value = graph_.value(id);
    TRY_VOID(define(id, kNoNode, value.name));
    if (const auto sound = expect_sound(*value.constant, value.type); !sound)
      return fail(Errc::internal, value.name, ": ", sound.error().message);
    return {};
  }

  Result<void> check_node(NodeId id) {
    const Node& node = graph_.node(id);
    for (const ValueId input : node.inputs)
      if (input != kNoValue && (input >= defined_.size() || !defined_[input]))
        return fail(Errc::internal, node.name, ": input is not made yet (", label(input), ")");
    TRY_VOID(define(node.output, id, node.name));
    const auto type = infer_node(graph_, node.op, node.inputs);
    if (!type) return fail(Errc::internal, node.name, ": ", type.error().message);
    if (*type != graph_.value(node.output).type)
      return fail(Errc::internal, node.name, ": type is not what the operator gives (",
                  to_string(graph_.value(node.output).type), ", ", to_string(*type), ")");
    return {};
  }

  // What nobody makes must be an empty shell.
  Result<void> check_leftovers() const {
    for (std::size_t i = 0; i < defined_.size(); ++i) {
      const auto id = static_cast<ValueId>(i);
      if (!defined_[i] && (!graph_.value(id).name.empty() || graph_.value(id).producer != kNoNode))
        return fail(Errc::internal, "value has no producer (", label(id), ")");
    }
    return {};
  }

  const Graph& graph_;
  std::vector<bool> defined_;
};

}  // namespace

Result<void> verify(const Graph& graph) { return Verifier(graph).run(); }

}  // namespace dermlens::graph
