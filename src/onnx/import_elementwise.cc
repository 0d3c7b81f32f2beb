// Arithmetic, comparison and logic, element by element; sums and extremes of several inputs.
#include <cmath>

#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using graph::Binary;
using graph::BinaryFn;
using graph::DType;
using graph::Unary;
using graph::UnaryFn;
using graph::ValueId;

template <UnaryFn fn>
Result<void> import_unary(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  return node.finish(Unary{fn}, {x});
}

template <BinaryFn fn>
Result<void> import_binary(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 2));
  TRY(const ValueId a, node.input(0));
  TRY(const ValueId b, node.input(1));
  return node.finish(Binary{fn, {}}, {a, b});
}

// Everything but the last step of fn(fn(a, b), c)...: returns its two operands, or one input.
template <BinaryFn fn>
Result<std::vector<ValueId>> chain(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, Limits::node_inputs));
  TRY(ValueId left, node.input(0));
  if (node.input_count() == 1) return std::vector{left};
  for (std::size_t i = 1; i + 1 < node.input_count(); ++i) {
    TRY(const ValueId right, node.input(i));
    TRY(left, node.emit(Binary{fn, {}}, {left, right}));
  }
  TRY(const ValueId last, node.input(node.input_count() - 1));
  return std::vector{left, last};
}

template <BinaryFn fn>
Result<void> import_chain(NodeImport& node) {
  TRY(const std::vector<ValueId> operands, chain<fn>(node));
  if (operands.size() == 1) return node.alias(operands[0]);
  return node.finish(Binary{fn, {}}, operands);
}

Result<void> import_mean(NodeImport& node) {
  TRY(const std::vector<ValueId> operands, chain<BinaryFn::add>(node));
  if (operands.size() == 1) return node.alias(operands[0]);
  TRY(const ValueId sum, node.emit(Binary{BinaryFn::add, {}}, operands));
  const float share = 1.0f / static_cast<float>(node.input_count());
  return node.finish(Unary{UnaryFn::linear, share, 0}, {sum});
}

Result<void> import_pow(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 2));
  TRY(const ValueId base, node.input(0));
  TRY(ValueId exponent, node.input(1));
  const bool real = graph::is_float(node.type(base).dtype);
  const std::optional<double> power = node.scalar(exponent);
  // A scalar that broadcasts without adding axes.
  if (real && power && node.shape(exponent).size() <= node.shape(base).size())
    return node.finish(Unary{UnaryFn::power, static_cast<float>(*power), 0}, {base});
  const DType type = node.type(base).dtype;
  if (node.type(exponent).dtype != type) {
    TRY(exponent, node.emit(graph::Cast{type}, {exponent}));
  }
  return node.finish(Binary{BinaryFn::pow, {}}, {base, exponent});
}

Result<void> import_where(NodeImport& node) {
  TRY_VOID(node.check_inputs(3, 3));
  TRY(const ValueId condition, node.input(0));
  TRY(const ValueId a, node.input(1));
  TRY(const ValueId b, node.input(2));
  return node.finish(graph::Where{}, {condition, a, b});
}

// The bounds of Clip in opset 11 and later are inputs, either of which may be absent.
struct Bound {
  ValueId value = graph::kNoValue;
  std::optional<double> number;
};

Result<Bound> clip_bound(NodeImport& node, std::size_t index, double absent) {
  Bound bound;
  TRY(bound.value, node.optional_input(index));
  if (bound.value == graph::kNoValue) {
    bound.number = absent;
  } else {
    bound.number = node.scalar(bound.value);
    if (node.type(bound.value).elements() != 1)
      return fail(Errc::malformed, "bound ", index, " is not of one element (",
                  to_string(node.type(bound.value)), ")");
  }
  return bound;
}

Result<void> import_clip(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, node.opset() < 11 ? 1 : 3));
  TRY(ValueId x, node.input(0));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Where the bounds cross, the upper one holds.
  const auto clip = [](float low, float high) {
    return Unary{UnaryFn::clip, std::min(low, high), high};
  };
  if (node.opset() < 11) {
    TRY(const float low, node.number("min", -kInfinity));
    TRY(const float high, node.number("max", kInfinity));
    return node.finish(clip(low, high), {x});
  }
  TRY(const Bound low, clip_bound(node, 1, -kInfinity));
  TRY(const Bound high, clip_bound(node, 2, kInfinity));
  if (low.number && high.number && graph::is_float(node.type(x).dtype))
    return node.finish(clip(static_cast<float>(*low.number), static_cast<float>(*high.number)),
                       {x});
  // Bounds known only at run time, or integers, which a float could not hold.
  if (low.value != graph::kNoValue) {
    TRY(x, node.emit(Binary{BinaryFn::max, {}}, {x, low.value}));
  }
  if (high.value != graph::kNoValue) {
    TRY(x, node.emit(Binary{BinaryFn::min, {}}, {x, high.value}));
  }
  return node.alias(x);
}

constexpr Handler kHandlers[] = {
    {"Abs", 6, import_unary<UnaryFn::abs>},
    {"Add", 7, import_binary<BinaryFn::add>},
    {"And", 7, import_binary<BinaryFn::logical_and>},
    {"Ceil", 6, import_unary<UnaryFn::ceil>},
    {"Clip", 6, import_clip},
    {"Div", 7, import_binary<BinaryFn::div>},
    {"Equal", 7, import_binary<BinaryFn::equal>},
    {"Erf", 9, import_unary<UnaryFn::erf>},
    {"Exp", 6, import_unary<UnaryFn::exp>},
    {"Floor", 6, import_unary<UnaryFn::floor>},
    {"Greater", 9, import_binary<BinaryFn::greater>},
    {"GreaterOrEqual", 12, import_binary<BinaryFn::greater_or_equal>},
    {"Less", 9, import_binary<BinaryFn::less>},
    {"LessOrEqual", 12, import_binary<BinaryFn::less_or_equal>},
    {"Log", 6, import_unary<UnaryFn::log>},
    {"Max", 8, import_chain<BinaryFn::max>},
    {"Mean", 8, import_mean},
    {"Min", 8, import_chain<BinaryFn::min>},
    {"Mul", 7, import_binary<BinaryFn::mul>},
    {"Neg", 6, import_unary<UnaryFn::neg>},
    {"Not", 1, import_unary<UnaryFn::logical_not>},
    {"Or", 7, import_binary<BinaryFn::logical_or>},
    {"Pow", 7, import_pow},
    {"Reciprocal", 6, import_unary<UnaryFn::reciprocal>},
    {"Round", 11, import_unary<UnaryFn::round>},
    {"Sign", 9, import_unary<UnaryFn::sign>},
    {"Sqrt", 6, import_unary<UnaryFn::sqrt>},
    {"Sub", 7, import_binary<BinaryFn::sub>},
    {"Sum", 8, import_chain<BinaryFn::add>},
    {"Where", 9, import_where},
    {"Xor", 7, import_binary<BinaryFn::logical_xor>},
};

}  // namespace

std::span<const Handler> elementwise_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
