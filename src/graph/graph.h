// A graph of values and nodes in static single assignment form: every value is an input, a
// constant, or made by exactly one node; nodes stand in an order in which they can run. Built by
// `onnx`, extended by `grad`, rewritten by the passes, read by everything below.
// A Graph is a plain movable value; it is not thread-safe while it is being changed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/op.h"
#include "graph/type.h"

namespace dermlens::graph {

using ValueId = std::uint32_t;
using NodeId = std::uint32_t;
inline constexpr ValueId kNoValue = UINT32_MAX;
inline constexpr NodeId kNoNode = UINT32_MAX;

// A constant as a recipe, so that weights stay in the mapped file until a layer is packed:
//   value[i] = (stored[i] - zero_point[c]) * scale[c],  c = i's index along `axis`,
// where an empty zero_point means 0, an empty scale 1, and a single number goes for every c.
// Batch-norm folding and de-quantization only change the recipe. `stored` is row-major,
// little-endian, not aligned; `owner` keeps it alive.
struct Constant {
  DType stored_as = DType::f32;
  ByteView stored;
  std::shared_ptr<const void> owner;
  std::size_t axis = 0;
  std::vector<float> scale;
  std::vector<float> zero_point;
};

struct Value {
  std::string name;  // unique, never empty
  TensorType type;
  NodeId producer = kNoNode;  // kNoNode for inputs and constants
  std::optional<Constant> constant;
};

struct Node {
  Op op;
  std::vector<ValueId> inputs;  // kNoValue for an absent optional one
  ValueId output = kNoValue;
  std::string name;
};

struct Input {
  ValueId value = kNoValue;
  // A late input is set after the forward part has run: the seed of a backward pass.
  bool late = false;
};

class Graph {
 public:
  // Names are made unique by a suffix where they are taken; an empty one is invented. Fails with
  // malformed or too_large where the shape is not one.
  Result<ValueId> add_input(std::string_view name, TensorType type, bool late = false);
  // Fails with malformed where the stored bytes are not those of the type's shape.
  Result<ValueId> add_constant(std::string_view name, TensorType type, Constant constant);
  ValueId add_constant(std::string_view name, const Shape& shape, std::span<const float> values);
  ValueId add_constant(std::string_view name, const Shape& shape,
                       std::span<const std::int64_t> values);
  // Appends a node and returns its value; both are called `name`. Trailing optional inputs may be
  // left out where there are no binary post-ops: kNoValue takes their place. Fails as infer() does,
  // naming the node.
  Result<ValueId> add(Op op, std::vector<ValueId> inputs, std::string_view name = {});
  // Marks a value as one that callers read: it survives every pass. Idempotent.
  void add_output(ValueId value);

  // By name; nullopt where there is none.
  std::optional<ValueId> find(std::string_view name) const;

  const Value& value(ValueId id) const { return values_[id]; }
  Value& value(ValueId id) { return values_[id]; }
  const Node& node(NodeId id) const { return nodes_[id]; }
  std::size_t value_count() const { return values_.size(); }
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const Input> inputs() const { return inputs_; }
  std::span<const ValueId> outputs() const { return outputs_; }
  bool is_output(ValueId value) const;
  bool is_constant(ValueId id) const { return values_[id].constant.has_value(); }

  // The nodes that read each value, in order; a node that reads one twice stands there once.
  std::vector<std::vector<NodeId>> users() const;

  // For passes: replaces the node list (still in order; `producer` is brought up to date). Values
  // that no node, input or output mentions any more stay as empty shells, without name, shape and
  // constant; their ids stay valid.
  void replace_nodes(std::vector<Node> nodes);
  void replace_outputs(std::vector<ValueId> outputs) { outputs_ = std::move(outputs); }
  // Gives `name` to `value`, taking it away from whoever has it, who gets an invented one: what was
  // asked for by name keeps its name.
  void rename(ValueId value, std::string_view name);
  // Turns a value that a node makes into a constant of the same type; the node is then to be left
  // out of the next replace_nodes(). Fails as add_constant() does.
  Result<void> make_constant(ValueId value, Constant constant);

 private:
  std::string unique_name(std::string_view wish);
  ValueId append_value(std::string_view name, TensorType type);

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<Input> inputs_;
  std::vector<ValueId> outputs_;
  // Looks names up without making a string of them.
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  std::unordered_map<std::string, ValueId, NameHash, std::equal_to<>> by_name_;
};

// Checks single assignment, order, types (by infer), names and constants' sizes. Fails with
// internal, naming the node: a broken graph is our own bug, the input was checked before.
Result<void> verify(const Graph& graph);

// The values of a constant as floats, row-major, the recipe applied. Memory: 4 bytes an element;
// for the small ones. `first` and `rows` choose rows along axis 0 of a large one (rows 0: all).
std::vector<float> to_floats(const Value& constant, std::size_t first = 0, std::size_t rows = 0);
// The same as 64-bit integers, exact for stored integers without a recipe; a float is truncated
// and saturates.
std::vector<std::int64_t> to_integers(const Value& constant);
// Writes rows [first, first + rows) along axis 0 into `out`, which has just their size. Allocates
// nothing. Any thread.
void read_rows(const Value& constant, std::size_t first, std::size_t rows, std::span<float> out);

}  // namespace dermlens::graph
