// Names of operators and functions, and the entry to type inference. The rules themselves stand in
// infer_*.cc.
#include "graph/op.h"

#include <algorithm>

#include "graph/infer.h"

namespace dermlens::graph {

std::string_view to_string(UnaryFn fn) {
  switch (fn) {
    case UnaryFn::relu:
      return "relu";
    case UnaryFn::clip:
      return "clip";
    case UnaryFn::sigmoid:
      return "sigmoid";
    case UnaryFn::tanh:
      return "tanh";
    case UnaryFn::silu:
      return "silu";
    case UnaryFn::hard_sigmoid:
      return "hard_sigmoid";
    case UnaryFn::hard_swish:
      return "hard_swish";
    case UnaryFn::gelu_erf:
      return "gelu_erf";
    case UnaryFn::gelu_tanh:
      return "gelu_tanh";
    case UnaryFn::erf:
      return "erf";
    case UnaryFn::exp:
      return "exp";
    case UnaryFn::log:
      return "log";
    case UnaryFn::sqrt:
      return "sqrt";
    case UnaryFn::reciprocal:
      return "reciprocal";
    case UnaryFn::abs:
      return "abs";
    case UnaryFn::neg:
      return "neg";
    case UnaryFn::elu:
      return "elu";
    case UnaryFn::leaky_relu:
      return "leaky_relu";
    case UnaryFn::softplus:
      return "softplus";
    case UnaryFn::linear:
      return "linear";
    case UnaryFn::power:
      return "power";
    case UnaryFn::floor:
      return "floor";
    case UnaryFn::ceil:
      return "ceil";
    case UnaryFn::round:
      return "round";
    case UnaryFn::sign:
      return "sign";
    case UnaryFn::logical_not:
      return "logical_not";
  }
  return "relu";
}

std::string_view to_string(BinaryFn fn) {
  switch (fn) {
    case BinaryFn::add:
      return "add";
    case BinaryFn::sub:
      return "sub";
    case BinaryFn::mul:
      return "mul";
    case BinaryFn::div:
      return "div";
    case BinaryFn::pow:
      return "pow";
    case BinaryFn::max:
      return "max";
    case BinaryFn::min:
      return "min";
    case BinaryFn::mod:
      return "mod";
    case BinaryFn::equal:
      return "equal";
    case BinaryFn::less:
      return "less";
    case BinaryFn::less_or_equal:
      return "less_or_equal";
    case BinaryFn::greater:
      return "greater";
    case BinaryFn::greater_or_equal:
      return "greater_or_equal";
    case BinaryFn::logical_and:
      return "logical_and";
    case BinaryFn::logical_or:
      return "logical_or";
    case BinaryFn::logical_xor:
      return "logical_xor";
  }
  return "add";
}

std::string_view to_string(ReduceFn fn) {
  switch (fn) {
    case ReduceFn::sum:
      return "sum";
    case ReduceFn::mean:
      return "mean";
    case ReduceFn::max:
      return "max";
    case ReduceFn::min:
      return "min";
    case ReduceFn::prod:
      return "prod";
  }
  return "sum";
}

namespace {

constexpr std::string_view name(const Conv&) { return "Conv"; }
constexpr std::string_view name(const ConvBackwardData&) { return "ConvBackwardData"; }
constexpr std::string_view name(const MatMul&) { return "MatMul"; }
constexpr std::string_view name(const Unary&) { return "Unary"; }
constexpr std::string_view name(const UnaryBackward&) { return "UnaryBackward"; }
constexpr std::string_view name(const Binary&) { return "Binary"; }
constexpr std::string_view name(const Reduce&) { return "Reduce"; }
constexpr std::string_view name(const Pool&) { return "Pool"; }
constexpr std::string_view name(const PoolBackward&) { return "PoolBackward"; }
constexpr std::string_view name(const Softmax&) { return "Softmax"; }
constexpr std::string_view name(const Transpose&) { return "Transpose"; }
constexpr std::string_view name(const Reshape&) { return "Reshape"; }
constexpr std::string_view name(const Expand&) { return "Expand"; }
constexpr std::string_view name(const Slice&) { return "Slice"; }
constexpr std::string_view name(const SliceBackward&) { return "SliceBackward"; }
constexpr std::string_view name(const Concat&) { return "Concat"; }
constexpr std::string_view name(const Pad&) { return "Pad"; }
constexpr std::string_view name(const Gather&) { return "Gather"; }
constexpr std::string_view name(const Where&) { return "Where"; }
constexpr std::string_view name(const Cast&) { return "Cast"; }
constexpr std::string_view name(const Quantize&) { return "Quantize"; }
constexpr std::string_view name(const Dequantize&) { return "Dequantize"; }

}  // namespace

std::string_view name_of(const Op& op) {
  return std::visit([](const auto& alternative) { return name(alternative); }, op);
}

const PostOps& post_ops_of(const Op& op) {
  static const PostOps kNone;
  if (const auto* conv = std::get_if<Conv>(&op)) return conv->post_ops;
  if (const auto* matmul = std::get_if<MatMul>(&op)) return matmul->post_ops;
  if (const auto* binary = std::get_if<Binary>(&op)) return binary->post_ops;
  return kNone;
}

std::size_t operand_count(const PostOps& post_ops) {
  return static_cast<std::size_t>(std::ranges::count_if(
      post_ops, [](const PostOp& post_op) { return post_op.kind != PostOp::Kind::unary; }));
}

Result<TensorType> infer(const Op& op, std::span<const TensorType* const> inputs) {
  Result<TensorType> type = std::visit(
      [inputs](const auto& alternative) { return rules::infer_type(alternative, inputs); }, op);
  if (!type) return within(name_of(op), std::move(type).error());
  if (const Result<Bytes> elements = count(type->shape); !elements)
    return within(name_of(op), elements.error());
  return type;
}

}  // namespace dermlens::graph
