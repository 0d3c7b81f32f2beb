// Activations, scales and residual sums move into the operator before them, as post-ops: the result
// is stored once. The fused operator stands where the last of its parts stood, so that everything
// it reads is there already.
#include <algorithm>

#include "graph/passes.h"
#include "graph/rewrite.h"

namespace dermlens::graph {
namespace {

// Kernels that are compiled for their post-ops grow with every one of them.
constexpr std::size_t kMaxPostOps = 8;

// Whether a value depends on a late input. What runs before the seed is set must not wait for it:
// an earlier node never takes such an operand.
class Lateness {
 public:
  explicit Lateness(const Graph& graph) : late_(graph.value_count(), false) {
    for (const Input& input : graph.inputs()) late_[input.value] = input.late;
    for (const Node& node : graph.nodes())
      late_[node.output] = std::ranges::any_of(
          node.inputs, [&](ValueId input) { return input != kNoValue && late_[input]; });
  }
  bool is_late(ValueId value) const { return late_[value]; }

 private:
  std::vector<bool> late_;
};

PostOps* post_ops_in(Op& op) {
  if (auto* conv = std::get_if<Conv>(&op)) return &conv->post_ops;
  if (auto* matmul = std::get_if<MatMul>(&op)) return &matmul->post_ops;
  if (auto* binary = std::get_if<Binary>(&op)) return &binary->post_ops;
  return nullptr;
}

// The kernels' algorithms behind a function that takes parameters, as bits.
unsigned algorithms_of(UnaryFn fn) {
  constexpr unsigned kRelu = 1, kLinear = 2, kClip = 4, kElu = 8;
  switch (fn) {
    case UnaryFn::relu:
    case UnaryFn::leaky_relu:
      return kRelu;
    case UnaryFn::neg:
    case UnaryFn::linear:
      return kLinear;
    case UnaryFn::clip:
      return kClip;
    case UnaryFn::hard_sigmoid:
      return kLinear | kClip;
    case UnaryFn::elu:
      return kElu;
    default:
      return 0;
  }
}

// Whether one kernel can hold the list: it keeps one set of parameters for each algorithm, and the
// second function of two would be computed with the first's (oneDNN 2.6).
bool fits_one_kernel(const PostOps& post_ops) {
  if (post_ops.size() > kMaxPostOps) return false;
  for (std::size_t i = 0; i < post_ops.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const Unary &a = post_ops[j].unary, &b = post_ops[i].unary;
      if (post_ops[i].kind == PostOp::Kind::unary && post_ops[j].kind == PostOp::Kind::unary &&
          (algorithms_of(a.fn) & algorithms_of(b.fn)) != 0 && a != b)
        return false;
    }
  return true;
}

bool is_arithmetic(BinaryFn fn) {
  return fn == BinaryFn::add || fn == BinaryFn::sub || fn == BinaryFn::mul || fn == BinaryFn::div ||
         fn == BinaryFn::max || fn == BinaryFn::min;
}

// Whether the node may take post-ops at all. A Binary must have its first operand, or for sums and
// products any, in the result's shape: oneDNN broadcasts the other only.
bool is_host(const Rewrite& rewrite, const Node& node) {
  const TensorType& type = rewrite.type(node.output);
  if (type.dtype != DType::f32) return false;
  const auto* binary = std::get_if<Binary>(&node.op);
  if (binary == nullptr)
    return std::holds_alternative<Conv>(node.op) || std::holds_alternative<MatMul>(node.op);
  const bool commutes = binary->fn == BinaryFn::add || binary->fn == BinaryFn::mul;
  return is_arithmetic(binary->fn) &&
         (rewrite.type(node.inputs[0]).shape == type.shape ||
          (commutes && rewrite.type(node.inputs[1]).shape == type.shape));
}

// The axis along which an operand may vary and still be cheap.
std::size_t channel_axis(const Op& host, const Shape& shape) {
  return std::holds_alternative<MatMul>(host) ? shape.size() - 1 : 1;
}

bool is_per_channel(const Shape& own, const Shape& shape, std::size_t axis) {
  if (own.size() > shape.size()) return false;
  const std::size_t skip = shape.size() - own.size();
  for (std::size_t i = 0; i < own.size(); ++i)
    if (own[i] != 1 && (skip + i != axis || own[i] != shape[axis])) return false;
  return true;
}

class Fuser {
 public:
  explicit Fuser(Graph& graph) : rewrite_(graph), lateness_(graph) {}

  Result<void> run() {
    for (std::size_t i = 0; i < rewrite_.size(); ++i) {
      const Node& node = *rewrite_.node(i);
      if (const auto* unary = std::get_if<Unary>(&node.op)) {
        if (is_post_op(unary->fn)) fuse(i, node.inputs[0], {{PostOp::Kind::unary, *unary}}, {});
      } else if (const auto* binary = std::get_if<Binary>(&node.op)) {
        fuse_binary(i, node, *binary);
      }
    }
    return rewrite_.finish();
  }

 private:
  std::optional<std::size_t> host_of(ValueId value) const {
    const auto index = rewrite_.maker(value);
    if (!index || !rewrite_.is_private(value)) return std::nullopt;
    return is_host(rewrite_, *rewrite_.node(*index)) ? index : std::nullopt;
  }

  // Tries the later of the two operands first: the other is then computed already, and nothing
  // has to wait.
  void fuse_binary(std::size_t i, const Node& node, const Binary& binary) {
    const bool add = binary.fn == BinaryFn::add;
    if ((!add && binary.fn != BinaryFn::mul) || node.inputs[0] == node.inputs[1]) return;
    PostOps added = {{add ? PostOp::Kind::binary_add : PostOp::Kind::binary_mul, {}}};
    added.insert(added.end(), binary.post_ops.begin(), binary.post_ops.end());
    const auto first = rewrite_.maker(node.inputs[0]), second = rewrite_.maker(node.inputs[1]);
    const std::size_t later = second > first ? 1 : 0;
    for (const std::size_t at : {later, 1 - later}) {
      const ValueId value = node.inputs[at], other = node.inputs[1 - at];
      if (!takes(value, other, node.output)) continue;
      std::vector<ValueId> operands = {other};
      operands.insert(operands.end(), node.inputs.begin() + 2, node.inputs.end());
      if (fuse(i, value, added, operands)) return;
    }
  }

  bool takes(ValueId value, ValueId other, ValueId result) const {
    const Shape& shape = rewrite_.type(result).shape;
    const auto index = host_of(value);
    if (!index || rewrite_.type(value).shape != shape) return false;
    if (lateness_.is_late(other) && !lateness_.is_late(value)) return false;
    const Shape& own = rewrite_.type(other).shape;
    if (own == shape) return true;
    if (!rewrite_.graph().is_constant(other) || shape.size() < 2) return false;
    return is_per_channel(own, shape, channel_axis(rewrite_.node(*index)->op, shape));
  }

  // Puts the operator that makes `value`, with `added` behind it, in the place of node i.
  bool fuse(std::size_t i, ValueId value, const PostOps& added,
            const std::vector<ValueId>& operands) {
    const auto index = host_of(value);
    if (!index) return false;
    const Node& host = *rewrite_.node(*index);
    Op op = host.op;
    PostOps& post_ops = *post_ops_in(op);
    post_ops.insert(post_ops.end(), added.begin(), added.end());
    if (!fits_one_kernel(post_ops)) return false;
    std::vector<ValueId> inputs = host.inputs;
    inputs.insert(inputs.end(), operands.begin(), operands.end());
    rewrite_.erase(*index);
    rewrite_.replace(i, std::move(op), std::move(inputs));
    return true;
  }

  Rewrite rewrite_;
  Lateness lateness_;
};

}  // namespace

bool is_post_op(UnaryFn fn) {
  switch (fn) {
    case UnaryFn::relu:
    case UnaryFn::clip:
    case UnaryFn::sigmoid:
    case UnaryFn::tanh:
    case UnaryFn::silu:
    case UnaryFn::hard_sigmoid:
    case UnaryFn::hard_swish:
    case UnaryFn::gelu_erf:
    case UnaryFn::gelu_tanh:
    case UnaryFn::exp:
    case UnaryFn::log:
    case UnaryFn::sqrt:
    case UnaryFn::abs:
    case UnaryFn::neg:
    case UnaryFn::elu:
    case UnaryFn::leaky_relu:
    case UnaryFn::linear:
      return true;
    default:
      return false;
  }
}

Result<void> fuse_post_ops(Graph& graph) { return Fuser(graph).run(); }

}  // namespace dermlens::graph
