// Activation functions; those the graph has no operator for are composed from those it has.
#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using graph::Binary;
using graph::BinaryFn;
using graph::Unary;
using graph::UnaryFn;
using graph::ValueId;

Result<ValueId> only_input(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  return node.input(0);
}

template <UnaryFn fn>
Result<void> import_plain(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  return node.finish(Unary{fn}, {x});
}

Result<void> import_elu(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  TRY(const float alpha, node.number("alpha", 1.0f));
  return node.finish(Unary{UnaryFn::elu, alpha, 0}, {x});
}

Result<void> import_leaky_relu(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  TRY(const float alpha, node.number("alpha", 0.01f));
  return node.finish(Unary{UnaryFn::leaky_relu, alpha, 0}, {x});
}

Result<void> import_hard_sigmoid(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  TRY(const float alpha, node.number("alpha", 0.2f));
  TRY(const float beta, node.number("beta", 0.5f));
  return node.finish(Unary{UnaryFn::hard_sigmoid, alpha, beta}, {x});
}

// alpha * elu(x / alpha): for x > 0 that is x.
Result<void> import_celu(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  TRY(const float alpha, node.number("alpha", 1.0f));
  if (!(alpha > 0)) return fail(Errc::unsupported, "alpha must be positive (", alpha, ")");
  TRY(const ValueId scaled, node.emit(Unary{UnaryFn::linear, 1 / alpha, 0}, {x}));
  TRY(const ValueId elu, node.emit(Unary{UnaryFn::elu, 1, 0}, {scaled}));
  return node.finish(Unary{UnaryFn::linear, alpha, 0}, {elu});
}

Result<void> import_selu(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  TRY(const float alpha, node.number("alpha", 1.67326319217681884765625f));
  TRY(const float gamma, node.number("gamma", 1.05070102214813232421875f));
  TRY(const ValueId elu, node.emit(Unary{UnaryFn::elu, alpha, 0}, {x}));
  return node.finish(Unary{UnaryFn::linear, gamma, 0}, {elu});
}

Result<void> import_mish(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  TRY(const ValueId softplus, node.emit(Unary{UnaryFn::softplus}, {x}));
  TRY(const ValueId tanh, node.emit(Unary{UnaryFn::tanh}, {softplus}));
  return node.finish(Binary{BinaryFn::mul, {}}, {x, tanh});
}

Result<void> import_softsign(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  TRY(const ValueId magnitude, node.emit(Unary{UnaryFn::abs}, {x}));
  TRY(const ValueId divisor, node.emit(Unary{UnaryFn::linear, 1, 1}, {magnitude}));
  return node.finish(Binary{BinaryFn::div, {}}, {x, divisor});
}

Result<void> import_thresholded_relu(NodeImport& node) {
  TRY(const ValueId x, only_input(node));
  TRY(const float alpha, node.number("alpha", 1.0f));
  TRY(const ValueId threshold, node.constant(alpha));
  TRY(const ValueId zero, node.constant(0.0f));
  TRY(const ValueId above, node.emit(Binary{BinaryFn::greater, {}}, {x, threshold}));
  return node.finish(graph::Where{}, {above, x, zero});
}

// relu(x) + slope * min(x, 0); the slope broadcasts to x.
Result<void> import_prelu(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 2));
  TRY(const ValueId x, node.input(0));
  TRY(const ValueId slope, node.input(1));
  TRY(const graph::Shape both, graph::broadcast(node.shape(x), node.shape(slope)));
  if (both != node.shape(x))
    return fail(Errc::malformed, "slope ", to_string(node.type(slope)), " does not broadcast to ",
                to_string(node.type(x)));
  TRY(const ValueId positive, node.emit(Unary{UnaryFn::relu}, {x}));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  TRY(const ValueId negative, node.emit(Unary{UnaryFn::clip, -kInfinity, 0}, {x}));
  TRY(const ValueId sloped, node.emit(Binary{BinaryFn::mul, {}}, {negative, slope}));
  return node.finish(Binary{BinaryFn::add, {}}, {positive, sloped});
}

constexpr Handler kHandlers[] = {
    {"Celu", 12, import_celu},
    {"Elu", 6, import_elu},
    {"HardSigmoid", 6, import_hard_sigmoid},
    {"HardSwish", 14, import_plain<UnaryFn::hard_swish>},
    {"LeakyRelu", 6, import_leaky_relu},
    {"Mish", 18, import_mish},
    {"PRelu", 9, import_prelu},
    {"Relu", 6, import_plain<UnaryFn::relu>},
    {"Selu", 6, import_selu},
    {"Sigmoid", 6, import_plain<UnaryFn::sigmoid>},
    {"Softplus", 1, import_plain<UnaryFn::softplus>},
    {"Softsign", 1, import_softsign},
    {"Tanh", 6, import_plain<UnaryFn::tanh>},
    {"ThresholdedRelu", 10, import_thresholded_relu},
};

}  // namespace

std::span<const Handler> activation_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
