// 8-bit models. Quantized weights become recipes of the constants they are; the fused integer
// operators become what they stand for: dequantize, compute, quantize.
#include <utility>

#include "onnx/window.h"

namespace dermlens::onnx {
namespace {

using graph::DType;
using graph::Shape;
using graph::ValueId;

Result<std::size_t> read_axis(NodeImport& node, ValueId x) {
  TRY(const std::int64_t axis, node.integer("axis", 1));
  // For one scale the axis means nothing, and the default need not exist.
  if (node.has_input(1)) {
    TRY(const ValueId scale, node.input(1));
    if (node.type(scale).elements() == 1) return std::size_t{0};
  }
  return graph::resolve_axis(axis, node.shape(x).size());
}

// A scale or zero point of one element, however many axes it has, as a scalar.
Result<ValueId> scalar_or_vector(NodeImport& node, ValueId value) {
  if (value == graph::kNoValue || node.shape(value).size() <= 1) return value;
  if (node.type(value).elements() != 1)
    return fail(Errc::malformed, "scale or zero point of several axes (",
                to_string(node.type(value)), ")");
  return node.emit(graph::Reshape{{}}, {value});
}

Result<void> check_fits(NodeImport& node, ValueId numbers, ValueId x, std::size_t axis) {
  const Shape& shape = node.shape(x);
  const Bytes count = node.type(numbers).elements();
  if (count == 1 || (axis < shape.size() && std::cmp_equal(count, shape[axis]))) return {};
  return fail(Errc::malformed, "scale or zero point does not fit axis ", axis, " of ",
              to_string(node.type(x)));
}

// (x - zero point) * scale; a constant keeps its bytes and changes its recipe.
Result<TypedConstant> dequantized(NodeImport& node, ValueId x, ValueId scale, ValueId zero_point,
                                  std::size_t axis) {
  const graph::Graph& graph = node.scope().graph();
  TRY_VOID(check_fits(node, scale, x, axis));
  if (zero_point != graph::kNoValue) TRY_VOID(check_fits(node, zero_point, x, axis));
  TypedConstant result{{DType::f32, node.shape(x)}, *graph.value(x).constant};
  result.constant.axis = axis;
  result.constant.scale = graph::to_floats(graph.value(scale));
  if (zero_point != graph::kNoValue)
    for (const std::int64_t zero : graph::to_integers(graph.value(zero_point)))
      result.constant.zero_point.push_back(static_cast<float>(zero));
  result.owned_bytes =
      sizeof(float) * (result.constant.scale.size() + result.constant.zero_point.size());
  return result;
}

bool is_plain_integer(const graph::Value& value) {
  return value.constant && value.constant->scale.empty() && value.constant->zero_point.empty() &&
         (value.type.dtype == DType::i8 || value.type.dtype == DType::u8 ||
          value.type.dtype == DType::i32);
}

struct Quantized {
  ValueId x, scale, zero_point;
};

Result<Quantized> read_quantized(NodeImport& node, std::size_t first) {
  Quantized q{};
  TRY(q.x, node.input(first));
  TRY(q.scale, node.input(first + 1));
  TRY(q.zero_point, node.optional_input(first + 2));
  TRY(q.scale, scalar_or_vector(node, q.scale));
  TRY(q.zero_point, scalar_or_vector(node, q.zero_point));
  return q;
}

// Whether a constant's recipe can say it all.
bool is_constant_integer(NodeImport& node, const Quantized& q) {
  return is_plain_integer(node.scope().graph().value(q.x)) && node.is_constant(q.scale) &&
         (q.zero_point == graph::kNoValue || node.is_constant(q.zero_point));
}

// The float value behind a quantized one, between input and output.
Result<ValueId> dequantize(NodeImport& node, const Quantized& q, std::size_t axis) {
  if (!is_constant_integer(node, q))
    return node.emit(graph::Dequantize{axis}, {q.x, q.scale, q.zero_point});
  TRY(auto recipe, dequantized(node, q.x, q.scale, q.zero_point, axis));
  return node.constant(std::move(recipe));
}

Result<void> import_dequantize(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 3));
  TRY(const Quantized q, read_quantized(node, 0));
  TRY(const std::size_t axis, read_axis(node, q.x));
  if (!is_constant_integer(node, q))
    return node.finish(graph::Dequantize{axis}, {q.x, q.scale, q.zero_point});
  TRY(auto recipe, dequantized(node, q.x, q.scale, q.zero_point, axis));
  return node.finish(std::move(recipe));
}

Result<graph::Quantize> quantize_to(NodeImport& node, const Quantized& q, std::size_t axis) {
  graph::Quantize op{axis, DType::u8};
  if (q.zero_point != graph::kNoValue) op.to = node.type(q.zero_point).dtype;
  if (op.to != DType::u8 && op.to != DType::i8)
    return fail(Errc::unsupported, "quantization to ", graph::to_string(op.to));
  return op;
}

Result<void> import_quantize(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 3));
  TRY(const Quantized q, read_quantized(node, 0));
  TRY(const std::size_t axis, read_axis(node, q.x));
  TRY(const graph::Quantize op, quantize_to(node, q, axis));
  return node.finish(op, {q.x, q.scale, q.zero_point});
}

// The result in 8 bits, from inputs `first` (its scale) and the next one (its zero point).
Result<void> finish_quantized(NodeImport& node, ValueId real, std::size_t first) {
  Quantized q{real, graph::kNoValue, graph::kNoValue};
  TRY(q.scale, node.input(first));
  TRY(q.zero_point, node.input(first + 1));
  TRY(q.scale, scalar_or_vector(node, q.scale));
  TRY(q.zero_point, scalar_or_vector(node, q.zero_point));
  TRY(const graph::Quantize op, quantize_to(node, q, 0));
  return node.finish(op, {q.x, q.scale, q.zero_point});
}

// The bias of a quantized convolution is in units of the input's scale times the weights'.
Result<ValueId> read_bias(NodeImport& node, const Quantized& x, const Quantized& weights) {
  if (!node.has_input(8)) return graph::kNoValue;
  TRY(const ValueId bias, node.input(8));
  const graph::Graph& graph = node.scope().graph();
  if (!is_plain_integer(graph.value(bias)) || node.shape(bias).size() != 1 ||
      !graph.is_constant(x.scale) || !graph.is_constant(weights.scale) ||
      node.type(x.scale).elements() != 1)
    return fail(Errc::unsupported, "bias or scales that are no constants");
  TRY_VOID(check_fits(node, weights.scale, bias, 0));
  const float input_scale = graph::to_floats(graph.value(x.scale)).front();
  TypedConstant real{{DType::f32, node.shape(bias)}, *graph.value(bias).constant};
  for (const float scale : graph::to_floats(graph.value(weights.scale)))
    real.constant.scale.push_back(input_scale * scale);
  real.owned_bytes = sizeof(float) * real.constant.scale.size();
  return node.constant(std::move(real));
}

Result<void> import_qlinear_conv(NodeImport& node) {
  TRY_VOID(node.check_inputs(8, 9));
  TRY(const Quantized x, read_quantized(node, 0));
  TRY(const Quantized weights, read_quantized(node, 3));
  TRY(const ValueId real_x, dequantize(node, x, 1));
  TRY(const ValueId real_weights, dequantize(node, weights, 0));
  TRY(const ValueId bias, read_bias(node, x, weights));
  TRY(graph::Conv conv, read_conv(node, real_x, real_weights));
  TRY(const ValueId real, node.emit(std::move(conv), {real_x, real_weights, bias}));
  return finish_quantized(node, real, 6);
}

Result<void> import_qlinear_matmul(NodeImport& node) {
  TRY_VOID(node.check_inputs(8, 8));
  TRY(const Quantized a, read_quantized(node, 0));
  TRY(const Quantized b, read_quantized(node, 3));
  if (node.type(a.scale).elements() != 1 || node.type(b.scale).elements() != 1)
    return fail(Errc::unsupported, "scales that are not of one element");
  TRY(const ValueId real_a, dequantize(node, a, 0));
  TRY(const ValueId real_b, dequantize(node, b, 0));
  TRY(const ValueId real, node.emit(graph::MatMul{}, {real_a, real_b, graph::kNoValue}));
  return finish_quantized(node, real, 6);
}

// Integers minus their zero point (input `zero`), as floats.
Result<ValueId> centred(NodeImport& node, std::size_t index, std::size_t zero) {
  TRY(const ValueId x, node.input(index));
  TRY(const ValueId real, node.emit(graph::Cast{DType::f32}, {x}));
  if (!node.has_input(zero)) return real;
  TRY(const ValueId zero_point, node.input(zero));
  if (node.type(zero_point).elements() != 1)
    return fail(Errc::unsupported, "zero points that are not of one element");
  TRY(const ValueId real_zero, node.emit(graph::Cast{DType::f32}, {zero_point}));
  TRY(const ValueId scalar, node.emit(graph::Reshape{{}}, {real_zero}));
  return node.emit(graph::Binary{graph::BinaryFn::sub, {}}, {real, scalar});
}

// Integer sums are computed in f32, which is exact below 2^24: longer sums are refused.
Result<void> check_exact(std::int64_t terms) {
  constexpr std::int64_t kLargestProduct = 255 * 255, kExact = std::int64_t{1} << 24;
  if (terms > kExact / kLargestProduct)
    return fail(Errc::unsupported, "integer sums of more than ", kExact / kLargestProduct,
                " products (", terms, ")");
  return {};
}

Result<void> import_conv_integer(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 4));
  TRY(const ValueId x, centred(node, 0, 2));
  TRY(const ValueId weights, centred(node, 1, 3));
  TRY(graph::Conv conv, read_conv(node, x, weights));
  const Shape& shape = node.shape(weights);
  std::int64_t terms = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) terms *= shape[i];
  TRY_VOID(check_exact(terms));
  TRY(const ValueId real, node.emit(std::move(conv), {x, weights, graph::kNoValue}));
  return node.finish(graph::Cast{DType::i32}, {real});
}

Result<void> import_matmul_integer(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 4));
  TRY(const ValueId a, centred(node, 0, 2));
  TRY(const ValueId b, centred(node, 1, 3));
  if (node.shape(a).empty()) return fail(Errc::malformed, "operand without axes");
  TRY_VOID(check_exact(node.shape(a).back()));
  TRY(const ValueId real, node.emit(graph::MatMul{}, {a, b, graph::kNoValue}));
  return node.finish(graph::Cast{DType::i32}, {real});
}

constexpr Handler kHandlers[] = {
    {"ConvInteger", 10, import_conv_integer},     {"DequantizeLinear", 10, import_dequantize},
    {"MatMulInteger", 10, import_matmul_integer}, {"QLinearConv", 10, import_qlinear_conv},
    {"QLinearMatMul", 10, import_qlinear_matmul}, {"QuantizeLinear", 10, import_quantize},
};

}  // namespace

std::span<const Handler> quantization_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
