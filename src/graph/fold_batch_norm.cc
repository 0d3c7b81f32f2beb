// Per-channel multiplications and additions behind a convolution or a matrix product move into the
// recipe of its weights and into its bias. The weights' bytes are not read.
#include <algorithm>

#include "graph/passes.h"
#include "graph/rewrite.h"

namespace dermlens::graph {
namespace {

// y = x * scale + shift for each channel; one number for all channels where the size is 1.
struct ChannelAffine {
  ValueId x = kNoValue;
  std::vector<double> scale, shift;
};

// The numbers of a constant that varies at most along `axis` of `shape`.
std::optional<std::vector<double>> per_channel(const Rewrite& rewrite, ValueId id,
                                               const Shape& shape, std::size_t axis) {
  if (id == kNoValue || !rewrite.graph().is_constant(id)) return std::nullopt;
  const Value& value = rewrite.graph().value(id);
  const Shape& own = value.type.shape;
  if (!is_float(value.type.dtype) || own.size() > shape.size()) return std::nullopt;
  const std::size_t skip = shape.size() - own.size();
  for (std::size_t i = 0; i < own.size(); ++i)
    if (own[i] != 1 && (skip + i != axis || own[i] != shape[axis])) return std::nullopt;
  const std::vector<float> numbers = to_floats(value);
  return std::vector<double>(numbers.begin(), numbers.end());
}

std::vector<double> map(std::vector<double> numbers, double (*function)(double)) {
  std::ranges::transform(numbers, numbers.begin(), function);
  return numbers;
}

ChannelAffine affine_of(BinaryFn fn, ValueId x, std::vector<double> c, bool constant_first) {
  const auto negative = [](double number) { return -number; };
  const auto inverse = [](double number) { return 1 / number; };
  switch (fn) {
    case BinaryFn::add:
      return {x, {1}, std::move(c)};
    case BinaryFn::sub:
      if (constant_first) return {x, {-1}, std::move(c)};
      return {x, {1}, map(std::move(c), negative)};
    case BinaryFn::mul:
      return {x, std::move(c), {0}};
    default:
      return {x, map(std::move(c), inverse), {0}};
  }
}

std::optional<ChannelAffine> match(const Rewrite& rewrite, const Node& node, std::size_t axis) {
  if (const auto* unary = std::get_if<Unary>(&node.op))
    return unary->fn == UnaryFn::linear
               ? std::optional(ChannelAffine{node.inputs[0], {unary->alpha}, {unary->beta}})
               : std::nullopt;
  const auto* binary = std::get_if<Binary>(&node.op);
  if (binary == nullptr || !binary->post_ops.empty()) return std::nullopt;
  const bool known = binary->fn == BinaryFn::add || binary->fn == BinaryFn::sub ||
                     binary->fn == BinaryFn::mul || binary->fn == BinaryFn::div;
  const Shape& shape = rewrite.type(node.output).shape;
  for (const std::size_t constant : {1u, 0u}) {
    const ValueId x = node.inputs[1 - constant];
    auto numbers = per_channel(rewrite, node.inputs[constant], shape, axis);
    const bool inverts = binary->fn == BinaryFn::div;
    if (!known || !numbers || rewrite.type(x).shape != shape) continue;
    if (inverts && (constant == 0 || std::ranges::find(*numbers, 0.0) != numbers->end())) continue;
    return affine_of(binary->fn, x, std::move(*numbers), constant == 0);
  }
  return std::nullopt;
}

// What the two kinds of host have in common.
struct Host {
  std::size_t index = 0;
  std::size_t result_axis = 0;  // the channels of the result
  std::size_t weight_axis = 0;  // and of the weights
};

std::optional<Host> host_of(const Rewrite& rewrite, ValueId value) {
  const auto index = rewrite.maker(value);
  if (!index || !rewrite.is_private(value)) return std::nullopt;
  const Node& node = *rewrite.node(*index);
  if (std::holds_alternative<Conv>(node.op)) return Host{*index, 1, 0};
  const auto* matmul = std::get_if<MatMul>(&node.op);
  if (matmul == nullptr) return std::nullopt;
  const std::size_t rank = rewrite.type(node.inputs[1]).shape.size();
  return Host{*index, rewrite.type(value).shape.size() - 1, rank - (matmul->transpose_b ? 2 : 1)};
}

// A list of one number stands for all channels.
double at(const std::vector<double>& numbers, std::size_t channel) {
  return numbers.size() == 1 ? numbers[0] : numbers[channel];
}

// The recipe with `scale` multiplied in along `axis`; nullopt where it already varies along
// another.
std::optional<Constant> scaled(const Constant& constant, std::size_t axis,
                               const std::vector<double>& scale) {
  const bool varies = constant.scale.size() > 1 || constant.zero_point.size() > 1;
  if (scale.size() > 1 && varies && constant.axis != axis) return std::nullopt;
  Constant result = constant;
  if (scale.size() > 1) result.axis = axis;
  if (result.scale.empty()) result.scale = {1.0f};
  if (result.scale.size() < scale.size()) result.scale.resize(scale.size(), result.scale[0]);
  for (std::size_t i = 0; i < result.scale.size(); ++i)
    result.scale[i] = static_cast<float>(result.scale[i] * at(scale, i));
  return result;
}

// The new bias, or kNoValue where none is needed; nullopt where the old one is in the way.
std::optional<ValueId> fold_bias(Rewrite& rewrite, ValueId bias, std::size_t channels,
                                 const ChannelAffine& affine, std::string_view name) {
  std::vector<double> old = {0};
  if (bias != kNoValue) {
    const auto numbers = per_channel(rewrite, bias, {static_cast<std::int64_t>(channels)}, 0);
    if (!numbers) return std::nullopt;
    old = *numbers;
  }
  std::vector<float> sum(channels);
  for (std::size_t i = 0; i < channels; ++i)
    sum[i] = static_cast<float>(at(old, i) * at(affine.scale, i) + at(affine.shift, i));
  const auto is_zero = [](float number) { return number == 0; };
  if (bias == kNoValue && std::ranges::all_of(sum, is_zero)) return kNoValue;
  return rewrite.graph().add_constant(std::string(name) + "_bias",
                                      {static_cast<std::int64_t>(channels)}, sum);
}

bool is_identity(const std::vector<double>& scale) {
  return std::ranges::all_of(scale, [](double number) { return number == 1; });
}

Result<void> fold_into_host(Rewrite& rewrite, std::size_t i, const Host& host,
                            const ChannelAffine& affine) {
  Graph& graph = rewrite.graph();
  const Node& node = *rewrite.node(host.index);
  const ValueId weights = node.inputs[1];
  if (!post_ops_of(node.op).empty() || !graph.is_constant(weights)) return {};
  const TensorType type = rewrite.type(weights);
  if (type.dtype != DType::f32) return {};
  const auto recipe = scaled(*graph.value(weights).constant, host.weight_axis, affine.scale);
  if (!recipe) return {};
  const auto channels = static_cast<std::size_t>(rewrite.type(node.output).shape[host.result_axis]);
  const auto bias = fold_bias(rewrite, node.inputs[2], channels, affine, node.name);
  if (!bias) return {};
  std::vector<ValueId> inputs = node.inputs;
  if (!is_identity(affine.scale)) {
    TRY(inputs[1], graph.add_constant(graph.value(weights).name + "_scaled", type, *recipe));
  }
  inputs[2] = *bias;
  Op op = node.op;
  rewrite.erase(host.index);
  rewrite.replace(i, std::move(op), std::move(inputs));
  return {};
}

}  // namespace

Result<void> fold_batch_norm(Graph& graph) {
  Rewrite rewrite(graph);
  for (std::size_t i = 0; i < rewrite.size(); ++i) {
    const Node& node = *rewrite.node(i);
    for (const ValueId input : node.inputs) {
      const auto host = host_of(rewrite, input);
      if (!host) continue;
      const auto affine = match(rewrite, node, host->result_axis);
      if (!affine || affine->x != input) continue;
      TRY_VOID(fold_into_host(rewrite, i, *host, *affine));
      break;
    }
  }
  return rewrite.finish();
}

}  // namespace dermlens::graph
