// The state of one lowering: where each value lives, and the steps so far. Private to `kernels`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/lower.h"

namespace dermlens::kernels {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

// A value in one layout.
struct Location {
  Operand operand;
  Desc desc;
};

class Builder {
 public:
  explicit Builder(const graph::Graph& graph);

  const graph::Graph& graph() const { return graph_; }
  const graph::Shape& shape(graph::ValueId value) const { return graph_.value(value).type.shape; }
  std::string_view value_name(graph::ValueId value) const { return graph_.value(value).name; }

  // Begins the node: what it reads for the last time may be overwritten by it.
  void begin(graph::NodeId node, bool late);

  // The value as fp32 in the layout it was made in (a constant: row-major).
  Location where(graph::ValueId value);
  // The same, but as bf16 where it was made so.
  Location where_made(graph::ValueId value);
  // Whether who makes the value may make it as bf16: all who read it take that.
  bool may_be_bf16(graph::ValueId value) const { return brief_[value]; }
  // An operand of a node that computes in its input's type.
  Location operand_of(const graph::Node& node, std::size_t index) {
    return may_be_bf16(node.output) ? where_made(node.inputs[index]) : where(node.inputs[index]);
  }
  // The value in a given layout; `desc` may have other dimensions with the same elements in the
  // same row-major order. Emits a reorder where needed.
  Location get(graph::ValueId value, const Desc& desc);
  Location get_plain(graph::ValueId value) { return get(value, plain_desc(shape(value))); }
  Location get_plain(graph::ValueId value, const graph::Shape& dims) {
    return get(value, plain_desc(dims));
  }
  // A constant whose row-major elements, seen through `source`, are wanted as `target`.
  Location weight(graph::ValueId value, const Desc& source, const Desc& target);
  Location weight(Weight weight);

  // An integer tensor seen through a Dequantize that nobody has had to compute yet.
  struct Quantized {
    graph::ValueId value = graph::kNoValue;  // the integers
    Location location;
    float scale = 1;
  };
  // For kernels that read integers: the value as scale * integers, if it is that.
  std::optional<Quantized> quantized(graph::ValueId value) const;
  // The value will be scale * `integers`; it is computed when somebody asks for it in fp32.
  void place_lazily(graph::ValueId value, graph::ValueId integers, float scale);
  // If the node's result goes to one Quantize alone, of a kind we compute in integers, then that.
  std::optional<graph::NodeId> only_quantize(graph::ValueId value) const;

  // A fresh buffer for the value, in `desc`; the value lives there from now on.
  Location make(graph::ValueId value, const Desc& desc);
  // The value lives where `location` is, under `desc`: another view, or computed in place.
  Location place(graph::ValueId value, const Location& location, const Desc& desc);
  // Whether the node in hand may overwrite what lies at `location`.
  bool may_overwrite(const Location& location) const;
  // Whether any input of `node` but the one at `index` has a copy in the buffer at `location`.
  bool other_input_in(const graph::Node& node, std::size_t index, const Location& location) const;
  // A buffer of no value, for an intermediate inside one node.
  Location temporary(const Desc& desc);

  void emit(std::string_view name, const dnnl::primitive_desc_base& pd,
            std::vector<Argument> arguments);
  void emit(std::string_view name, Native kernel, std::vector<Argument> arguments);
  void reorder(std::string_view name, const Location& from, const Location& to);

  // Whether the value has a place yet.
  bool is_made(graph::ValueId value) const { return !locations_[value].empty(); }
  Lowered finish(std::size_t late_begin) &&;
  std::size_t step_count() const { return lowered_.steps.size(); }

 private:
  struct BufferState {
    bool late = false;
    std::vector<graph::ValueId> values;  // that have lived in it
  };
  // Whether a copy of the value is in the buffer at `location`.
  bool lies_in(graph::ValueId value, const Location& location) const;

  Location new_buffer(const Desc& desc);

  const graph::Graph& graph_;
  Lowered lowered_;
  std::vector<std::vector<Location>> locations_;  // by value; the first is where it was made
  std::vector<std::size_t> last_use_;  // by value: position of the last node that reads it
  std::vector<BufferState> buffer_state_;
  std::vector<std::vector<graph::NodeId>> users_;
  std::vector<bool> brief_;                   // by value: bf16_values()
  std::map<graph::ValueId, Quantized> lazy_;  // without location: that is looked up
  std::size_t position_ = 0;
  bool late_ = false;

 public:
  // The order in which nodes run: first what early outputs need, then the rest.
  std::vector<graph::NodeId> order;
  std::size_t early_count = 0;
};

// Whether two descriptors put every element at the same byte (a blocked layout of 1x1 maps is the
// row-major one).
bool same_bytes(const Desc& a, const Desc& b);

inline Argument argument(int id, const Location& location) {
  return {id, location.operand, location.desc};
}
inline Argument argument(int id, const Location& location, const Desc& desc) {
  return {id, location.operand, desc};
}

dnnl::memory::dims to_dims(const graph::Shape& shape);
// The same layout for another element type.
Desc with_type(const Desc& desc, Type type);
// Scratchpads are ours.
dnnl::primitive_attr attributes();

// The oneDNN name of an activation, where it has one.
struct Eltwise {
  dnnl::algorithm algorithm;
  float alpha = 0, beta = 0;
};
std::optional<Eltwise> eltwise_of(const graph::Unary& op);

// `desc`'s blocking for other dimensions of the same rank, as for a per-channel operand beside a
// blocked tensor; row-major where it has none we know.
Desc blocked_like(const Desc& desc, const graph::Shape& dims);
// `shape` with ones in front, up to `rank`.
graph::Shape padded_to(const graph::Shape& shape, std::size_t rank);
// Whether the kernel is oneDNN's reference code, right but slow.
bool is_reference(const dnnl::primitive_desc_base& pd);

// Appends the post-ops of a node to `attr`; their operands are read in layouts that suit `result`.
// `first_operand` is the index of the node's first post-op input. `sum` is set to the operand that
// is to be accumulated in place.
struct PostOpArguments {
  std::vector<Argument> arguments;
  std::optional<Location> accumulate;
};
Result<PostOpArguments> append_post_ops(Builder& builder, const graph::Node& node,
                                        const graph::PostOps& post_ops, std::size_t first_operand,
                                        const Desc& result, bool allow_accumulate,
                                        dnnl::primitive_attr& attr);

// The same one by one behind the node, where its kernel cannot: `value` is what it made, in a
// buffer that may be overwritten. Returns where the result is.
Result<Location> apply_post_ops(Builder& builder, const graph::Node& node,
                                const graph::PostOps& post_ops, std::size_t first_operand,
                                Location value);

bool is_blocked(const Desc& desc);
// Whether the channels fill the widest block.
bool fills_blocks(const Desc& desc);

// The integer forms; each does nothing and returns false where it does not apply.
Result<bool> lower_integer_conv(Builder& builder, const graph::Node& node);
bool lower_integer_mean(Builder& builder, const graph::Node& node);
bool lower_integer_scale(Builder& builder, const graph::Node& node);

// The scale of a Quantize or Dequantize whose integers are kept as such: one for the whole tensor,
// zero point 0.
std::optional<float> symmetric_scale(const graph::Graph& graph, const graph::Node& node);
// Channels last, for integers.
Desc channels_last(const graph::Shape& shape, Type type);

// One function an operator family; each lowers the node and places its output.
Result<void> lower_conv(Builder& builder, const graph::Node& node);
Result<void> lower_conv_backward(Builder& builder, const graph::Node& node);
Result<void> lower_matmul(Builder& builder, const graph::Node& node);
Result<void> lower_unary(Builder& builder, const graph::Node& node);
Result<void> lower_unary_backward(Builder& builder, const graph::Node& node);
Result<void> lower_binary(Builder& builder, const graph::Node& node);
Result<void> lower_where(Builder& builder, const graph::Node& node);
Result<void> lower_softmax(Builder& builder, const graph::Node& node);
Result<void> lower_reduce(Builder& builder, const graph::Node& node);
Result<void> lower_pool(Builder& builder, const graph::Node& node);
Result<void> lower_pool_backward(Builder& builder, const graph::Node& node);
Result<void> lower_transpose(Builder& builder, const graph::Node& node);
Result<void> lower_reshape(Builder& builder, const graph::Node& node);
Result<void> lower_concat(Builder& builder, const graph::Node& node);
Result<void> lower_index_map(Builder& builder, const graph::Node& node);
Result<void> lower_cast(Builder& builder, const graph::Node& node);
Result<void> lower_quantize(Builder& builder, const graph::Node& node);
Result<void> lower_dequantize(Builder& builder, const graph::Node& node);

}  // namespace dermlens::kernels
