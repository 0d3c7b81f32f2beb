// Nodes that hand their input on unchanged go away; moves that cost nothing elsewhere move there: a
// transposition in front of a matrix product becomes the product's own.
#include <algorithm>

#include "graph/passes.h"
#include "graph/rewrite.h"

namespace dermlens::graph {
namespace {

bool all_zero(const Shape& numbers) {
  return std::ranges::all_of(numbers, [](std::int64_t number) { return number == 0; });
}

bool all_one(const Shape& numbers) {
  return std::ranges::all_of(numbers, [](std::int64_t number) { return number == 1; });
}

// Whether the operator changes nothing, given that its result has its first input's type.
struct ChangesNothing {
  const Shape& shape;

  bool operator()(const Reshape&) const { return true; }
  bool operator()(const Expand&) const { return true; }
  bool operator()(const Cast&) const { return true; }
  bool operator()(const Transpose& op) const { return std::ranges::is_sorted(op.permutation); }
  bool operator()(const Slice& op) const { return all_zero(op.starts) && all_one(op.steps); }
  bool operator()(const Pad& op) const { return all_zero(op.begin) && all_zero(op.end); }
  bool operator()(const Unary& op) const {
    return op.fn == UnaryFn::linear && op.alpha == 1 && op.beta == 0;
  }
  bool operator()(const Reduce& op) const {
    return std::ranges::all_of(op.axes, [this](std::size_t axis) { return shape[axis] == 1; });
  }
  template <class Other>
  bool operator()(const Other&) const {
    return false;
  }
};

bool is_identity(const Rewrite& rewrite, const Node& node) {
  if (node.inputs.empty() || node.inputs[0] == kNoValue) return false;
  const TensorType& type = rewrite.type(node.inputs[0]);
  if (type != rewrite.type(node.output)) return false;
  if (std::holds_alternative<Concat>(node.op)) return node.inputs.size() == 1;
  return std::visit(ChangesNothing{type.shape}, node.op);
}

// Whether a Transpose only moves axes of length 1 about, so that no element moves.
bool is_reshape(const Transpose& op, const Shape& shape) {
  std::vector<std::size_t> moved;
  for (const std::size_t axis : op.permutation)
    if (shape[axis] != 1) moved.push_back(axis);
  return std::ranges::is_sorted(moved);
}

// Whether a Transpose swaps the last two axes and leaves the others.
bool swaps_last_two(const Transpose& op) {
  std::vector<std::size_t> permutation = op.permutation;
  if (permutation.size() < 2) return false;
  std::swap(permutation.end()[-1], permutation.end()[-2]);
  return std::ranges::is_sorted(permutation);
}

class Remover {
 public:
  explicit Remover(Graph& graph) : rewrite_(graph), alias_(graph.value_count(), kNoValue) {}

  Result<void> run() {
    for (std::size_t i = 0; i < rewrite_.size(); ++i) {
      read_aliases(i);
      if (!is_identity(rewrite_, *rewrite_.node(i))) {
        simplify_transpose(i);
        join_reshapes(i);
        transpose_operands(i);
      }
      if (is_identity(rewrite_, *rewrite_.node(i))) remove(i);
    }
    // A node before the removed one may still read a value that has got another name since.
    for (std::size_t i = 0; i < rewrite_.size(); ++i)
      if (rewrite_.node(i) != nullptr) read_aliases(i);
    return rewrite_.finish();
  }

 private:
  ValueId resolve(ValueId value) const {
    while (value != kNoValue && alias_[value] != kNoValue) value = alias_[value];
    return value;
  }

  void read_aliases(std::size_t i) {
    std::vector<ValueId> inputs = rewrite_.node(i)->inputs;
    for (ValueId& input : inputs) input = resolve(input);
    if (inputs != rewrite_.node(i)->inputs)
      rewrite_.replace(i, Op(rewrite_.node(i)->op), std::move(inputs));
  }

  void remove(std::size_t i) {
    const ValueId input = rewrite_.node(i)->inputs[0], output = rewrite_.node(i)->output;
    if (!rewrite_.is_output(output)) {
      rewrite_.erase(i);
      alias_[output] = input;
      return;
    }
    // The output keeps its id: whoever makes the input makes the output instead. Inputs, constants
    // and other outputs have to stay what they are.
    const auto maker = rewrite_.maker(input);
    if (!maker || rewrite_.is_output(input)) return;
    rewrite_.erase(i);
    rewrite_.redirect(*maker, output);
    alias_[input] = output;
  }

  void simplify_transpose(std::size_t i) {
    const Node& node = *rewrite_.node(i);
    const auto* transpose = std::get_if<Transpose>(&node.op);
    if (transpose == nullptr || !is_reshape(*transpose, rewrite_.type(node.inputs[0]).shape))
      return;
    rewrite_.replace(i, Reshape{rewrite_.type(node.output).shape}, std::vector(node.inputs));
  }

  void join_reshapes(std::size_t i) {
    const Node& node = *rewrite_.node(i);
    if (!std::holds_alternative<Reshape>(node.op)) return;
    if (rewrite_.made_by<Reshape>(node.inputs[0]) == nullptr) return;
    const ValueId source = rewrite_.producer(node.inputs[0])->inputs[0];
    rewrite_.replace(i, Op(node.op), {source});
  }

  void transpose_operands(std::size_t i) {
    for (const std::size_t operand : {0u, 1u}) {
      const Node& node = *rewrite_.node(i);
      const auto* matmul = std::get_if<MatMul>(&node.op);
      if (matmul == nullptr) return;
      const auto* transpose = rewrite_.made_by<Transpose>(node.inputs[operand]);
      if (transpose == nullptr || !swaps_last_two(*transpose)) continue;
      MatMul product = *matmul;
      bool& transposed = operand == 0 ? product.transpose_a : product.transpose_b;
      transposed = !transposed;
      std::vector<ValueId> inputs = node.inputs;
      inputs[operand] = rewrite_.producer(node.inputs[operand])->inputs[0];
      rewrite_.replace(i, std::move(product), std::move(inputs));
    }
  }

  Rewrite rewrite_;
  std::vector<ValueId> alias_;
};

}  // namespace

Result<void> remove_identities(Graph& graph) { return Remover(graph).run(); }

}  // namespace dermlens::graph
