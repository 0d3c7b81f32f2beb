// Bookkeeping of a rewriting pass: who makes a value, who reads it, which nodes are left.
#include "graph/rewrite.h"

#include <utility>

namespace dermlens::graph {
namespace {
constexpr std::size_t kNobody = SIZE_MAX;
}

Rewrite::Rewrite(Graph& graph)
    : graph_(graph),
      nodes_(graph.nodes().begin(), graph.nodes().end()),
      alive_(nodes_.size(), true),
      outputs_(graph.value_count(), false),
      makers_(graph.value_count(), kNobody),
      reads_(graph.value_count(), 0) {
  for (const ValueId output : graph.outputs()) outputs_[output] = true;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    makers_[nodes_[i].output] = i;
    count_reads(nodes_[i], 1);
  }
}

std::optional<std::size_t> Rewrite::maker(ValueId value) const {
  if (value >= makers_.size() || makers_[value] == kNobody) return std::nullopt;
  return makers_[value];
}

const Node* Rewrite::producer(ValueId value) const {
  const auto index = maker(value);
  return index ? &nodes_[*index] : nullptr;
}

bool Rewrite::is_private(ValueId value) const {
  return value < reads_.size() && reads_[value] == 1 && !outputs_[value];
}

std::optional<double> Rewrite::scalar(ValueId value) const {
  if (value == kNoValue || !graph_.is_constant(value)) return std::nullopt;
  const Value& constant = graph_.value(value);
  if (!is_float(constant.type.dtype) || constant.type.elements() != 1) return std::nullopt;
  return to_floats(constant)[0];
}

void Rewrite::count_reads(const Node& node, int step) {
  for (const ValueId input : node.inputs) {
    if (input == kNoValue) continue;
    if (input >= reads_.size()) reads_.resize(graph_.value_count(), 0);
    reads_[input] += step;
  }
}

void Rewrite::replace(std::size_t i, Op op, std::vector<ValueId> inputs) {
  count_reads(nodes_[i], -1);
  nodes_[i].op = std::move(op);
  nodes_[i].inputs = std::move(inputs);
  count_reads(nodes_[i], 1);
}

void Rewrite::erase(std::size_t i) {
  count_reads(nodes_[i], -1);
  if (makers_[nodes_[i].output] == i) makers_[nodes_[i].output] = kNobody;
  alive_[i] = false;
}

void Rewrite::redirect(std::size_t i, ValueId value) {
  makers_[nodes_[i].output] = kNobody;
  nodes_[i].output = value;
  makers_[value] = i;
}

Result<void> Rewrite::finish() {
  std::vector<Node> left;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (alive_[i]) left.push_back(std::move(nodes_[i]));
  graph_.replace_nodes(std::move(left));
#ifdef DERMLENS_VERIFY
  return verify(graph_);
#else
  return {};
#endif
}

}  // namespace dermlens::graph
