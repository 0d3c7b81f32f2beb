// One ONNX node on its way into the graph: what a handler may ask of it and how it answers. Every
// attribute a handler does not ask for is an error afterwards, so nothing is passed over.
// Errors say only the reason; whoever calls the handler names node, operator and opset.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "onnx/scope.h"

namespace dermlens::onnx {

class NodeImport {
 public:
  NodeImport(Scope& scope, TensorReader& tensors, const NodeView& node, std::int64_t opset)
      : scope_(scope), tensors_(tensors), node_(node), opset_(opset) {}

  std::string_view op_type() const { return node_.op_type; }
  std::int64_t opset() const { return opset_; }
  Scope& scope() { return scope_; }

  // Attributes, by name. Fail with malformed where the attribute is of another kind.
  Result<std::int64_t> integer(std::string_view name, std::int64_t absent);
  Result<bool> flag(std::string_view name, bool absent);  // 0 or 1
  Result<float> number(std::string_view name, float absent);
  Result<std::string_view> text(std::string_view name, std::string_view absent);
  Result<std::optional<std::vector<std::int64_t>>> integers(std::string_view name);
  Result<std::optional<std::vector<float>>> numbers(std::string_view name);
  Result<std::optional<TypedConstant>> tensor(std::string_view name);
  bool has_attribute(std::string_view name) const;
  // One that changes nothing in inference.
  void ignore(std::string_view name) { asked_.push_back(name); }
  Result<void> check_attributes() const;

  // Inputs, by position. An absent optional one is kNoValue.
  std::size_t input_count() const { return node_.inputs.size(); }
  bool has_input(std::size_t index) const;
  Result<graph::ValueId> input(std::size_t index);
  Result<graph::ValueId> optional_input(std::size_t index);
  // Fails with malformed where the node has fewer or more inputs.
  Result<void> check_inputs(std::size_t least, std::size_t most) const;
  // Fail with unsupported where the input's value is not known when the model is read.
  Result<std::vector<std::int64_t>> constant_integers(std::size_t index, std::string_view what);
  Result<float> constant_number(std::size_t index, std::string_view what);
  // The attribute of this name (older opsets) or the input at this position (newer ones).
  Result<std::optional<std::vector<std::int64_t>>> integers_from(std::string_view name,
                                                                 std::size_t index);

  const graph::TensorType& type(graph::ValueId value) const {
    return scope_.graph().value(value).type;
  }
  const graph::Shape& shape(graph::ValueId value) const { return type(value).shape; }
  bool is_constant(graph::ValueId value) const { return scope_.graph().is_constant(value); }
  // The value of a constant of one element; nullopt for anything else.
  std::optional<double> scalar(graph::ValueId value) const;

  // A value between input and output, named after the first output.
  Result<graph::ValueId> emit(graph::Op op, std::vector<graph::ValueId> inputs);
  Result<graph::ValueId> constant(TypedConstant constant);
  Result<graph::ValueId> constant(float value);
  Result<graph::ValueId> constant(const graph::Shape& shape, std::span<const float> values);

  // Outputs.
  std::size_t output_count() const { return node_.outputs.size(); }
  bool has_output(std::size_t index) const;
  // The node's (first) output is this operator's result, under its ONNX name.
  Result<void> finish(graph::Op op, std::vector<graph::ValueId> inputs, std::size_t output = 0);
  Result<void> finish(TypedConstant constant);
  // The output is a value that exists already.
  Result<void> alias(graph::ValueId value, std::size_t output = 0);
  // Outputs from `first` on are an error only where somebody reads them.
  void leave_out(std::size_t first, std::string_view what);

 private:
  Result<const AttributeView*> find(std::string_view name, AttributeKind kind);
  std::string inner_name(std::string_view what) const;

  Scope& scope_;
  TensorReader& tensors_;
  const NodeView& node_;
  std::int64_t opset_;
  std::vector<std::string_view> asked_;
};

// A row of the table of operators. Opsets below `since` have the operator not at all, or in
// another form that we do not read.
struct Handler {
  std::string_view op_type;
  std::int64_t since;
  Result<void> (*import)(NodeImport& node);
};

// The table, by family; find_handler looks through all of them.
std::span<const Handler> elementwise_handlers();
std::span<const Handler> activation_handlers();
std::span<const Handler> conv_handlers();
std::span<const Handler> matmul_handlers();
std::span<const Handler> normalization_handlers();
std::span<const Handler> reduce_handlers();
std::span<const Handler> shape_handlers();
std::span<const Handler> slice_handlers();
std::span<const Handler> constant_handlers();
std::span<const Handler> quantization_handlers();
const Handler* find_handler(std::string_view op_type);

}  // namespace dermlens::onnx
