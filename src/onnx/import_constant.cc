// Constants, what only shapes decide, and operators that change nothing in inference.
#include <cmath>

#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using graph::DType;
using graph::Shape;
using graph::ValueId;

// Filling more than this is left to the engine, or refused.
constexpr Bytes kMaxFilled = 64 * 1024;

Result<void> import_constant(NodeImport& node) {
  TRY_VOID(node.check_inputs(0, 0));
  TRY(auto tensor, node.tensor("value"));
  if (tensor) return node.finish(std::move(*tensor));
  if (node.has_attribute("value_float")) {
    TRY(const float value, node.number("value_float", 0));
    return node.finish(own_floats({}, {&value, 1}));
  }
  if (node.has_attribute("value_int")) {
    TRY(const std::int64_t value, node.integer("value_int", 0));
    return node.finish(own_integers(DType::i64, {}, {&value, 1}));
  }
  TRY(const auto floats, node.numbers("value_floats"));
  if (floats) return node.finish(own_floats({std::ssize(*floats)}, *floats));
  TRY(const auto integers, node.integers("value_ints"));
  if (integers) return node.finish(own_integers(DType::i64, {std::ssize(*integers)}, *integers));
  TRY_VOID(node.check_attributes());
  return fail(Errc::malformed, "value is missing");
}

// One element repeated: written out where that is small, expanded by the engine where not.
Result<void> import_constant_of_shape(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(Shape shape, node.constant_integers(0, "shape"));
  TRY(const Bytes elements, graph::count(shape));
  TRY(auto given, node.tensor("value"));
  const float zero = 0;
  TypedConstant value = given ? std::move(*given) : own_floats({1}, {&zero, 1});
  if (value.type.elements() != 1)
    return fail(Errc::malformed, "value is not of one element (", to_string(value.type), ")");
  if (elements > kMaxFilled) {
    TRY(const ValueId element, node.constant(std::move(value)));
    return node.finish(graph::Expand{std::move(shape)}, {element});
  }
  const ByteView element = value.constant.stored;
  std::vector<std::byte> bytes;
  for (Bytes i = 0; i < elements; ++i) bytes.insert(bytes.end(), element.begin(), element.end());
  return node.finish(own_bytes(value.constant.stored_as, std::move(shape), std::move(bytes)));
}

Result<void> import_shape(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  const Shape& shape = node.shape(x);
  const std::int64_t rank = std::ssize(shape);
  if (node.opset() < 15 && (node.has_attribute("start") || node.has_attribute("end")))
    return fail(Errc::malformed, "start and end come with opset 15");
  TRY(std::int64_t start, node.integer("start", 0));
  TRY(std::int64_t end, node.integer("end", rank));
  const auto clamp = [&](std::int64_t axis) {
    return std::clamp<std::int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  start = clamp(start);
  end = std::max(start, clamp(end));
  const Shape part(shape.begin() + start, shape.begin() + end);
  return node.finish(own_integers(DType::i64, {std::ssize(part)}, part));
}

Result<void> import_size(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  const auto elements = static_cast<std::int64_t>(node.type(x).elements());
  return node.finish(own_integers(DType::i64, {}, {&elements, 1}));
}

template <class Number>
Result<std::vector<Number>> fill_range(double count, Number start, Number delta) {
  if (!(count <= static_cast<double>(kMaxFilled)))
    return fail(Errc::too_large, "elements of a range (", count, ", ", kMaxFilled, ")");
  std::vector<Number> values;
  for (double i = 0; i < count; ++i)
    values.push_back(static_cast<Number>(start + static_cast<Number>(i) * delta));
  return values;
}

Result<void> import_integer_range(NodeImport& node, DType type) {
  std::array<std::int64_t, 3> numbers{};
  for (std::size_t i = 0; i < 3; ++i) {
    TRY(const auto given, node.constant_integers(i, "range"));
    if (given.size() != 1) return fail(Errc::malformed, "range of no single numbers");
    numbers[i] = given[0];
    // Sums of these cannot overflow.
    if (std::abs(static_cast<double>(numbers[i])) > 0x1p52)
      return fail(Errc::too_large, "number of a range (", numbers[i], ", 2^52)");
  }
  const auto [start, limit, delta] = numbers;
  if (delta == 0) return fail(Errc::malformed, "range with step 0");
  const double count = std::ceil(static_cast<double>(limit - start) / static_cast<double>(delta));
  TRY(const auto values, fill_range(count, start, delta));
  return node.finish(own_integers(type, {std::ssize(values)}, values));
}

Result<void> import_range(NodeImport& node) {
  TRY_VOID(node.check_inputs(3, 3));
  TRY(const ValueId first, node.input(0));
  const DType type = node.type(first).dtype;
  if (!graph::is_float(type)) return import_integer_range(node, type);
  TRY(const float start, node.constant_number(0, "start"));
  TRY(const float limit, node.constant_number(1, "limit"));
  TRY(const float delta, node.constant_number(2, "delta"));
  const double count = std::ceil((double{limit} - double{start}) / double{delta});
  if (delta == 0 || !std::isfinite(count)) return fail(Errc::malformed, "range without an end");
  TRY(const auto values, fill_range(count, start, delta));
  return node.finish(own_floats({std::ssize(values)}, values));
}

// The positions of what is not zero, as [rank, count]; its shape depends on values, so these must
// be known.
Result<void> import_non_zero(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const std::vector<std::int64_t> values, [&]() -> Result<std::vector<std::int64_t>> {
    TRY(const ValueId x, node.input(0));
    if (!graph::is_float(node.type(x).dtype)) return node.constant_integers(0, "input");
    if (!node.is_constant(x) || node.type(x).elements() > kMaxFilled)
      return fail(Errc::unsupported, "its input is no small constant");
    std::vector<std::int64_t> marks;
    for (const float value : graph::to_floats(node.scope().graph().value(x)))
      marks.push_back(value != 0 ? 1 : 0);
    return marks;
  }());
  TRY(const ValueId x, node.input(0));
  const Shape shape = node.shape(x);
  std::vector<std::int64_t> hits;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] != 0) hits.push_back(static_cast<std::int64_t>(i));
  std::vector<std::int64_t> positions(shape.size() * hits.size());
  for (std::size_t i = 0; i < hits.size(); ++i) {
    std::int64_t rest = hits[i];
    for (std::size_t axis = shape.size(); axis-- > 0; rest /= shape[axis])
      positions[axis * hits.size() + i] = rest % shape[axis];
  }
  return node.finish(own_integers(DType::i64, {std::ssize(shape), std::ssize(hits)}, positions));
}

Result<void> import_identity(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  return node.alias(x);
}

Result<void> import_dropout(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 3));
  TRY(const ValueId x, node.input(0));
  node.ignore("ratio");
  node.ignore("seed");
  if (node.has_input(2)) {
    TRY(const auto training, node.constant_integers(2, "training_mode"));
    if (training.size() != 1 || training[0] != 0)
      return fail(Errc::unsupported, "training_mode other than false");
  }
  node.leave_out(1, "the mask output");
  return node.alias(x);
}

// Between floating types nothing is cast: everything is computed in f32.
Result<void> import_cast(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  TRY(const std::int64_t to, node.integer("to", 0));
  if (to < 0 || to > INT32_MAX) return fail(Errc::unsupported, "element type ", to);
  TRY(const DType stored, stored_type(DataType{static_cast<std::int32_t>(to)}));
  const DType type = logical_type(stored);
  if (type == node.type(x).dtype) return node.alias(x);
  return node.finish(graph::Cast{type}, {x});
}

constexpr Handler kHandlers[] = {
    {"Cast", 9, import_cast},
    {"Constant", 1, import_constant},
    {"ConstantOfShape", 9, import_constant_of_shape},
    {"Dropout", 7, import_dropout},
    {"Identity", 1, import_identity},
    {"NonZero", 9, import_non_zero},
    {"Range", 11, import_range},
    {"Shape", 1, import_shape},
    {"Size", 1, import_size},
};

}  // namespace

std::span<const Handler> constant_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
