// The walk: which nodes lie between target and output, and what flows back through them, in
// reverse order. The rules say how.
#include <algorithm>
#include <utility>

#include "grad/grad.h"
#include "grad/rules.h"

namespace dermlens::grad {

using namespace graph;

namespace {

Result<void> check_differentiable(const Graph& graph, ValueId id, std::string_view role) {
  if (id >= graph.value_count())
    return fail(Errc::usage, "gradient: the ", role, " is no value of the graph (", id, ", ",
                graph.value_count(), ")");
  const Value& value = graph.value(id);
  if (!is_float(value.type.dtype))
    return fail(Errc::usage, "gradient: the ", role, " '", value.name,
                "' is not of a floating type (", to_string(value.type.dtype), ")");
  return {};
}

// Values that depend on a target in a way that a gradient could follow: through floating numbers,
// and through what Quantize makes of them.
std::vector<bool> reached_from(const Graph& graph, std::span<const ValueId> targets) {
  std::vector<bool> reached(graph.value_count(), false);
  for (const ValueId target : targets) reached[target] = true;
  for (const Node& node : graph.nodes()) {
    const DType made = graph.value(node.output).type.dtype;
    if (made == DType::boolean) continue;
    for (const ValueId input : node.inputs) {
      if (input == kNoValue || !reached[input]) continue;
      const bool quantized = !is_float(graph.value(input).type.dtype);
      if (is_float(made) || quantized || std::holds_alternative<Quantize>(node.op))
        reached[node.output] = true;
    }
  }
  return reached;
}

class Walk {
 public:
  Walk(Graph& graph, std::span<const ValueId> targets)
      : graph_(graph),
        emit_(graph),
        reached_(reached_from(graph, targets)),
        gradients_(graph.value_count(), kNoValue) {}

  Result<void> run(ValueId output, ValueId seed);
  // What the walk has left at `target`, in full, made by a node and named.
  Result<ValueId> finish(ValueId target);

 private:
  Result<void> step(const Node& node);
  Result<void> accumulate(ValueId value, ValueId gradient);

  Graph& graph_;
  Emitter emit_;
  std::vector<bool> reached_;
  std::vector<ValueId> gradients_;  // of the values there were before the walk
};

Result<void> Walk::run(ValueId output, ValueId seed) {
  gradients_[output] = seed;
  for (std::size_t i = graph_.nodes().size(); i-- > 0;) {
    const Node node = graph_.nodes()[i];  // a copy: the walk appends nodes
    TRY_VOID(step(node));
  }
  return {};
}

Result<void> Walk::step(const Node& node) {
  const ValueId dy = gradients_[node.output];
  if (dy == kNoValue) return {};
  std::vector<bool> wanted;
  for (const ValueId input : node.inputs) wanted.push_back(input != kNoValue && reached_[input]);
  if (std::ranges::find(wanted, true) == wanted.end()) return {};

  const Site site(emit_, node, dy, wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i] && !is_float(emit_.dtype(node.inputs[i])) &&
        !std::holds_alternative<Dequantize>(node.op))
      return site.no_derivative("a quantized value");
  TRY(const Gradients gradients, differentiate(node.op, site));
  for (std::size_t i = 0; i < gradients.size(); ++i)
    if (gradients[i] != kNoValue) TRY_VOID(accumulate(node.inputs[i], gradients[i]));
  return {};
}

Result<void> Walk::accumulate(ValueId value, ValueId gradient) {
  ValueId& sum = gradients_[value];
  if (sum == kNoValue) {
    sum = gradient;
    return {};
  }
  emit_.set_subject(value);
  TRY(sum, emit_.binary(BinaryFn::add, sum, gradient));
  return {};
}

Result<ValueId> Walk::finish(ValueId target) {
  const TensorType type = graph_.value(target).type;
  emit_.set_subject(target);
  ValueId gradient = gradients_[target];
  if (gradient == kNoValue) {
    TRY(gradient, emit_.scalar(type.dtype, 0));
  }
  TRY(gradient, emit_.expanded(gradient, type.shape));
  if (graph_.value(gradient).producer == kNoNode) {
    TRY(gradient, emit_.unary({.fn = UnaryFn::linear, .alpha = 1, .beta = 0}, gradient));
  }
  const std::string name = "grad:" + graph_.value(target).name;
  if (!graph_.find(name) && !graph_.is_output(gradient)) graph_.rename(gradient, name);
  graph_.add_output(gradient);
  return gradient;
}

}  // namespace

Result<Backward> append_backward(Graph& graph, ValueId output, std::span<const ValueId> targets) {
  TRY_VOID(check_differentiable(graph, output, "output"));
  for (const ValueId target : targets) TRY_VOID(check_differentiable(graph, target, "target"));

  Walk walk(graph, targets);
  Backward backward;
  TRY(backward.seed, graph.add_input("seed:" + graph.value(output).name, graph.value(output).type,
                                     /*late=*/true));
  TRY_VOID(walk.run(output, backward.seed));
  for (const ValueId target : targets) {
    TRY(const ValueId gradient, walk.finish(target));
    backward.gradients.push_back(gradient);
  }
  return backward;
}

}  // namespace dermlens::grad
