// Attributes, inputs and outputs of a node; and the table's lookup.
#include "onnx/node_import.h"

#include <algorithm>
#include <unordered_map>

namespace dermlens::onnx {

using graph::kNoValue;
using graph::ValueId;

namespace {

// An input that decides shapes never has more numbers than this.
constexpr Bytes kMaxShapeNumbers = 64 * 1024;

std::string_view to_string(AttributeKind kind) {
  switch (kind) {
    case AttributeKind::number:
      return "a number";
    case AttributeKind::integer:
      return "an integer";
    case AttributeKind::string:
      return "a string";
    case AttributeKind::tensor:
      return "a tensor";
    case AttributeKind::numbers:
      return "a list of numbers";
    case AttributeKind::integers:
      return "a list of integers";
    case AttributeKind::other:
      break;
  }
  return "of another kind";
}

}  // namespace

Result<const AttributeView*> NodeImport::find(std::string_view name, AttributeKind kind) {
  asked_.push_back(name);
  const auto found = std::ranges::find(node_.attributes, name, &AttributeView::name);
  if (found == node_.attributes.end()) return nullptr;
  // An empty list on the wire is nothing but its type.
  if (found->kind != kind)
    return fail(Errc::malformed, "attribute '", name, "' is not ", to_string(kind), " but ",
                to_string(found->kind));
  return &*found;
}

bool NodeImport::has_attribute(std::string_view name) const {
  return std::ranges::find(node_.attributes, name, &AttributeView::name) != node_.attributes.end();
}

Result<std::int64_t> NodeImport::integer(std::string_view name, std::int64_t absent) {
  TRY(const AttributeView* attribute, find(name, AttributeKind::integer));
  return attribute ? attribute->integer : absent;
}

Result<bool> NodeImport::flag(std::string_view name, bool absent) {
  TRY(const std::int64_t value, integer(name, absent ? 1 : 0));
  if (value != 0 && value != 1)
    return fail(Errc::malformed, "attribute '", name, "' is neither 0 nor 1 (", value, ")");
  return value == 1;
}

Result<float> NodeImport::number(std::string_view name, float absent) {
  TRY(const AttributeView* attribute, find(name, AttributeKind::number));
  return attribute ? attribute->number : absent;
}

Result<std::string_view> NodeImport::text(std::string_view name, std::string_view absent) {
  TRY(const AttributeView* attribute, find(name, AttributeKind::string));
  return attribute ? attribute->string : absent;
}

Result<std::optional<std::vector<std::int64_t>>> NodeImport::integers(std::string_view name) {
  TRY(const AttributeView* attribute, find(name, AttributeKind::integers));
  if (!attribute) return std::nullopt;
  return attribute->integers;
}

Result<std::optional<std::vector<float>>> NodeImport::numbers(std::string_view name) {
  TRY(const AttributeView* attribute, find(name, AttributeKind::numbers));
  if (!attribute) return std::nullopt;
  return attribute->numbers;
}

Result<std::optional<TypedConstant>> NodeImport::tensor(std::string_view name) {
  TRY(const AttributeView* attribute, find(name, AttributeKind::tensor));
  if (!attribute) return std::nullopt;
  TRY(const TensorView view, parse_tensor(attribute->tensor));
  TRY(TypedConstant constant, tensors_.read(view));
  return constant;
}

Result<void> NodeImport::check_attributes() const {
  for (const AttributeView& attribute : node_.attributes)
    if (std::ranges::find(asked_, attribute.name) == asked_.end())
      return fail(Errc::unsupported, "attribute '", attribute.name, "'");
  return {};
}

bool NodeImport::has_input(std::size_t index) const {
  return index < node_.inputs.size() && !node_.inputs[index].empty();
}

bool NodeImport::has_output(std::size_t index) const {
  return index < node_.outputs.size() && !node_.outputs[index].empty();
}

Result<ValueId> NodeImport::input(std::size_t index) {
  if (!has_input(index)) return fail(Errc::malformed, "input ", index, " is missing");
  return scope_.lookup(node_.inputs[index]);
}

Result<ValueId> NodeImport::optional_input(std::size_t index) {
  if (!has_input(index)) return kNoValue;
  return scope_.lookup(node_.inputs[index]);
}

Result<void> NodeImport::check_inputs(std::size_t least, std::size_t most) const {
  if (input_count() < least || input_count() > most)
    return fail(Errc::malformed, "number of inputs (", input_count(), ", ", least, " to ", most,
                ")");
  return {};
}

Result<std::vector<std::int64_t>> NodeImport::constant_integers(std::size_t index,
                                                                std::string_view what) {
  TRY(const ValueId id, input(index));
  const graph::Value& value = scope_.graph().value(id);
  if (!value.constant)
    return fail(Errc::unsupported, "its ", what, " ('", value.name,
                "') is only known at run time; bind it to a value");
  if (graph::is_float(value.type.dtype))
    return fail(Errc::malformed, "its ", what, " ('", value.name, "') is not of integers");
  if (value.type.elements() > kMaxShapeNumbers)
    return fail(Errc::too_large, "numbers in its ", what, " (", value.type.elements(), ", ",
                kMaxShapeNumbers, ")");
  return graph::to_integers(value);
}

Result<float> NodeImport::constant_number(std::size_t index, std::string_view what) {
  TRY(const ValueId id, input(index));
  const std::optional<double> number = scalar(id);
  if (!number)
    return fail(Errc::unsupported, "its ", what, " ('", scope_.graph().value(id).name,
                "') is no constant of one element");
  return static_cast<float>(*number);
}

Result<std::optional<std::vector<std::int64_t>>> NodeImport::integers_from(std::string_view name,
                                                                           std::size_t index) {
  if (!has_input(index)) return integers(name);
  if (has_attribute(name))
    return fail(Errc::malformed, "'", name, "' is both an attribute and an input");
  TRY(auto values, constant_integers(index, name));
  return values;
}

std::optional<double> NodeImport::scalar(ValueId id) const {
  const graph::Value& value = scope_.graph().value(id);
  if (!value.constant || value.type.elements() != 1) return std::nullopt;
  if (!graph::is_float(value.type.dtype))
    return static_cast<double>(graph::to_integers(value).front());
  return graph::to_floats(value).front();
}

std::string NodeImport::inner_name(std::string_view what) const {
  const std::string_view first = node_.outputs.empty() ? node_.name : node_.outputs.front();
  return std::string(first) + "/" + std::string(what);
}

Result<ValueId> NodeImport::emit(graph::Op op, std::vector<ValueId> inputs) {
  const std::string name = inner_name(graph::name_of(op));
  return scope_.emit(std::move(op), std::move(inputs), name);
}

Result<ValueId> NodeImport::constant(TypedConstant constant) {
  return scope_.add_constant(inner_name("constant"), std::move(constant));
}

Result<ValueId> NodeImport::constant(float value) { return constant({}, {&value, 1}); }

Result<ValueId> NodeImport::constant(const graph::Shape& shape, std::span<const float> values) {
  return constant(own_floats(shape, values));
}

Result<void> NodeImport::finish(graph::Op op, std::vector<ValueId> inputs, std::size_t output) {
  if (!has_output(output)) return fail(Errc::malformed, "output ", output, " is missing");
  TRY(const ValueId value, scope_.emit(std::move(op), std::move(inputs), node_.outputs[output]));
  return alias(value, output);
}

Result<void> NodeImport::finish(TypedConstant constant) {
  if (!has_output(0)) return fail(Errc::malformed, "output 0 is missing");
  TRY(const ValueId value, scope_.add_constant(node_.outputs[0], std::move(constant)));
  return alias(value);
}

Result<void> NodeImport::alias(ValueId value, std::size_t output) {
  if (!has_output(output)) return fail(Errc::malformed, "output ", output, " is missing");
  return scope_.define(node_.outputs[output], value);
}

void NodeImport::leave_out(std::size_t first, std::string_view what) {
  for (std::size_t i = first; i < output_count(); ++i)
    if (has_output(i))
      scope_.define_missing(node_.outputs[i],
                            std::make_shared<const Error>(
                                fail(Errc::unsupported, "'", node_.outputs[i], "' is read, but ",
                                     what, " of ", op_type(), " is not supported")
                                    .value()));
}

const Handler* find_handler(std::string_view op_type) {
  static const auto table = [] {
    std::unordered_map<std::string_view, const Handler*> rows;
    for (const auto family :
         {elementwise_handlers(), activation_handlers(), conv_handlers(), matmul_handlers(),
          normalization_handlers(), reduce_handlers(), shape_handlers(), slice_handlers(),
          constant_handlers(), quantization_handlers()})
      for (const Handler& handler : family) rows.emplace(handler.op_type, &handler);
    return rows;
  }();
  const auto found = table.find(op_type);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace dermlens::onnx
