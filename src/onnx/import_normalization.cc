// Normalisations, all composed from plain arithmetic, and the softmaxes.
#include <cmath>
#include <numeric>

#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using graph::Binary;
using graph::BinaryFn;
using graph::Reduce;
using graph::ReduceFn;
using graph::Shape;
using graph::Unary;
using graph::UnaryFn;
using graph::ValueId;

// [C] as [C, 1, ...], which broadcasts over the channels of x.
Result<ValueId> per_channel(NodeImport& node, ValueId vector, ValueId x) {
  const Shape& shape = node.shape(x);
  if (shape.size() < 2 || node.shape(vector) != Shape{shape[1]})
    return fail(Errc::malformed, "parameter ", to_string(node.type(vector)),
                " does not fit the channels of ", to_string(node.type(x)));
  Shape wide(shape.size() - 1, 1);
  wide[0] = shape[1];
  return node.emit(graph::Reshape{std::move(wide)}, {vector});
}

// x * scale / sqrt(variance + epsilon) + (bias - mean * that), computed in double when the model
// is read.
Result<void> finish_constant_batch_norm(NodeImport& node, ValueId x,
                                        const std::array<ValueId, 4>& parameters, float epsilon) {
  std::array<std::vector<float>, 4> values;
  for (std::size_t i = 0; i < 4; ++i)
    values[i] = graph::to_floats(node.scope().graph().value(parameters[i]));
  const auto& [scale, bias, mean, variance] = values;
  std::vector<float> factor(scale.size()), shift(scale.size());
  for (std::size_t c = 0; c < scale.size(); ++c) {
    const double f = double{scale[c]} / std::sqrt(double{variance[c]} + double{epsilon});
    factor[c] = static_cast<float>(f);
    shift[c] = static_cast<float>(double{bias[c]} - double{mean[c]} * f);
  }
  Shape wide(node.shape(x).size() - 1, 1);
  wide[0] = static_cast<std::int64_t>(scale.size());
  TRY(const ValueId factors, node.constant(wide, factor));
  TRY(const ValueId shifts, node.constant(wide, shift));
  TRY(const ValueId scaled, node.emit(Binary{BinaryFn::mul, {}}, {x, factors}));
  return node.finish(Binary{BinaryFn::add, {}}, {scaled, shifts});
}

Result<void> finish_batch_norm(NodeImport& node, ValueId x,
                               const std::array<ValueId, 4>& parameters, float epsilon) {
  std::array<ValueId, 4> wide{};
  for (std::size_t i = 0; i < 4; ++i) {
    TRY(wide[i], per_channel(node, parameters[i], x));
  }
  const auto [scale, bias, mean, variance] = wide;
  TRY(const ValueId safe, node.emit(Unary{UnaryFn::linear, 1, epsilon}, {variance}));
  TRY(const ValueId deviation, node.emit(Unary{UnaryFn::sqrt}, {safe}));
  TRY(const ValueId factor, node.emit(Binary{BinaryFn::div, {}}, {scale, deviation}));
  TRY(const ValueId centred, node.emit(Binary{BinaryFn::sub, {}}, {x, mean}));
  TRY(const ValueId scaled, node.emit(Binary{BinaryFn::mul, {}}, {centred, factor}));
  return node.finish(Binary{BinaryFn::add, {}}, {scaled, bias});
}

Result<void> import_batch_normalization(NodeImport& node) {
  TRY_VOID(node.check_inputs(5, 5));
  TRY(const float epsilon, node.number("epsilon", 1e-5f));
  node.ignore("momentum");
  TRY(const bool training, node.flag("training_mode", false));
  if (training) return fail(Errc::unsupported, "training_mode 1");
  for (std::size_t i = 1; i < node.output_count(); ++i)
    if (node.has_output(i)) return fail(Errc::unsupported, "training (it has ", i + 1, " outputs)");
  TRY(const ValueId x, node.input(0));
  std::array<ValueId, 4> parameters{};
  bool constant = true;
  for (std::size_t i = 0; i < 4; ++i) {
    TRY(parameters[i], node.input(i + 1));
    const Shape& shape = node.shape(x);
    if (shape.size() < 2 || node.shape(parameters[i]) != Shape{shape[1]})
      return fail(Errc::malformed, "parameter ", to_string(node.type(parameters[i])),
                  " does not fit the channels of ", to_string(node.type(x)));
    constant = constant && node.is_constant(parameters[i]);
  }
  if (constant) return finish_constant_batch_norm(node, x, parameters, epsilon);
  return finish_batch_norm(node, x, parameters, epsilon);
}

struct Standard {
  ValueId mean, deviation, value;
};

// (x - mean) / deviation over `axes`, where deviation is sqrt(variance + epsilon).
Result<Standard> standardise(NodeImport& node, ValueId x, const std::vector<std::size_t>& axes,
                             float epsilon) {
  Standard result{};
  TRY(result.mean, node.emit(Reduce{ReduceFn::mean, axes, true}, {x}));
  TRY(const ValueId centred, node.emit(Binary{BinaryFn::sub, {}}, {x, result.mean}));
  TRY(const ValueId square, node.emit(Binary{BinaryFn::mul, {}}, {centred, centred}));
  TRY(const ValueId variance, node.emit(Reduce{ReduceFn::mean, axes, true}, {square}));
  TRY(const ValueId safe, node.emit(Unary{UnaryFn::linear, 1, epsilon}, {variance}));
  TRY(result.deviation, node.emit(Unary{UnaryFn::sqrt}, {safe}));
  TRY(result.value, node.emit(Binary{BinaryFn::div, {}}, {centred, result.deviation}));
  return result;
}

Result<void> import_layer_normalization(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 3));
  TRY(const ValueId x, node.input(0));
  TRY(const ValueId scale, node.input(1));
  TRY(const ValueId bias, node.optional_input(2));
  TRY(const float epsilon, node.number("epsilon", 1e-5f));
  TRY(const std::int64_t given, node.integer("axis", -1));
  node.ignore("stash_type");  // the precision of the sums; ours is float always
  const std::size_t rank = node.shape(x).size();
  TRY(const std::size_t first, graph::resolve_axis(given, rank));
  std::vector<std::size_t> axes(rank - first);
  std::iota(axes.begin(), axes.end(), first);
  TRY(const Standard standard, standardise(node, x, axes, epsilon));
  if (node.has_output(1)) TRY_VOID(node.alias(standard.mean, 1));
  if (node.has_output(2))
    TRY_VOID(node.finish(Unary{UnaryFn::reciprocal}, {standard.deviation}, 2));
  if (bias == graph::kNoValue)
    return node.finish(Binary{BinaryFn::mul, {}}, {standard.value, scale});
  TRY(const ValueId scaled, node.emit(Binary{BinaryFn::mul, {}}, {standard.value, scale}));
  return node.finish(Binary{BinaryFn::add, {}}, {scaled, bias});
}

Result<void> import_instance_normalization(NodeImport& node) {
  TRY_VOID(node.check_inputs(3, 3));
  TRY(const ValueId x, node.input(0));
  TRY(ValueId scale, node.input(1));
  TRY(ValueId bias, node.input(2));
  TRY(const float epsilon, node.number("epsilon", 1e-5f));
  TRY(scale, per_channel(node, scale, x));
  TRY(bias, per_channel(node, bias, x));
  std::vector<std::size_t> axes(node.shape(x).size() - 2);
  std::iota(axes.begin(), axes.end(), std::size_t{2});
  TRY(const Standard standard, standardise(node, x, axes, epsilon));
  TRY(const ValueId scaled, node.emit(Binary{BinaryFn::mul, {}}, {standard.value, scale}));
  return node.finish(Binary{BinaryFn::add, {}}, {scaled, bias});
}

Result<void> import_lp_normalization(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  TRY(const std::int64_t given, node.integer("axis", -1));
  TRY(const std::int64_t p, node.integer("p", 2));
  if (p != 1 && p != 2) return fail(Errc::unsupported, "p ", p);
  TRY(const std::size_t axis, graph::resolve_axis(given, node.shape(x).size()));
  graph::Op magnitude = Unary{UnaryFn::abs};
  std::vector<ValueId> operands = {x};
  if (p == 2) {
    magnitude = Binary{BinaryFn::mul, {}};
    operands.push_back(x);
  }
  TRY(const ValueId size, node.emit(std::move(magnitude), std::move(operands)));
  TRY(ValueId norm, node.emit(Reduce{ReduceFn::sum, {axis}, true}, {size}));
  if (p == 2) {
    TRY(norm, node.emit(Unary{UnaryFn::sqrt}, {norm}));
  }
  // What is zero everywhere stays zero, and its gradient stays of the size of the others.
  TRY(const ValueId zero, node.constant(0.0F));
  TRY(const ValueId one, node.constant(1.0F));
  TRY(const ValueId is_zero, node.emit(Binary{BinaryFn::equal, {}}, {norm, zero}));
  TRY(norm, node.emit(graph::Where{}, {is_zero, one, norm}));
  return node.finish(Binary{BinaryFn::div, {}}, {x, norm});
}

// Before opset 13 the axes from `axis` on count as one, and the default is 1.
template <bool log>
Result<void> import_softmax(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  const Shape shape = node.shape(x);
  const bool coerced = node.opset() < 13;
  TRY(const std::int64_t given, node.integer("axis", coerced ? 1 : -1));
  TRY(const std::size_t axis, graph::resolve_axis(given, shape.size()));
  const auto begin = shape.begin() + static_cast<std::ptrdiff_t>(axis);
  const auto product = [](auto from, auto to) {
    return std::accumulate(from, to, std::int64_t{1}, std::multiplies<>());
  };
  if (!coerced || product(begin + 1, shape.end()) == 1)
    return node.finish(graph::Softmax{axis, log}, {x});
  Shape flat = {product(shape.begin(), begin), product(begin, shape.end())};
  TRY(const ValueId rows, node.emit(graph::Reshape{std::move(flat)}, {x}));
  TRY(const ValueId softmax, node.emit(graph::Softmax{1, log}, {rows}));
  return node.finish(graph::Reshape{shape}, {softmax});
}

constexpr Handler kHandlers[] = {
    {"BatchNormalization", 9, import_batch_normalization},
    {"InstanceNormalization", 6, import_instance_normalization},
    {"LayerNormalization", 17, import_layer_normalization},
    {"LogSoftmax", 1, import_softmax<true>},
    {"LpNormalization", 1, import_lp_normalization},
    {"Softmax", 1, import_softmax<false>},
};

}  // namespace

std::span<const Handler> normalization_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
