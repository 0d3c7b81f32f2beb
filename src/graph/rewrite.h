// Inside of graph: the node list of a graph while a pass rewrites it. Passes visit the nodes in
// order and only ever replace the visited node, which keeps its output's id and name and may take
// the place of an earlier node that nobody else reads; so order and outputs hold by construction.
#pragma once

#include <optional>
#include <vector>

#include "graph/graph.h"

namespace dermlens::graph {

class Rewrite {
 public:
  // Keeps a reference: `graph` must outlive this and be changed by nobody else, but for new
  // constants.
  explicit Rewrite(Graph& graph);
  explicit Rewrite(const Graph&& graph) = delete;

  Graph& graph() { return graph_; }
  const Graph& graph() const { return graph_; }
  std::size_t size() const { return nodes_.size(); }
  // nullptr where the node is erased. Valid until the next replace().
  const Node* node(std::size_t i) const { return alive_[i] ? &nodes_[i] : nullptr; }
  // The index of the node that makes `value`; nullopt for inputs, constants and absent values.
  std::optional<std::size_t> maker(ValueId value) const;
  // The node itself, or nullptr.
  const Node* producer(ValueId value) const;
  // The operator of the node that makes `value`, if it is an Operator.
  template <class Operator>
  const Operator* made_by(ValueId value) const {
    const Node* node = producer(value);
    return node == nullptr ? nullptr : std::get_if<Operator>(&node->op);
  }
  const TensorType& type(ValueId value) const { return graph_.value(value).type; }
  bool is_output(ValueId value) const { return value < outputs_.size() && outputs_[value]; }
  // Whether one place in one node is all that mentions `value`.
  bool is_private(ValueId value) const;

  // The single number of a constant of a floating type, whatever its rank.
  std::optional<double> scalar(ValueId value) const;

  void replace(std::size_t i, Op op, std::vector<ValueId> inputs);
  void erase(std::size_t i);
  // Lets node `i` make `value` in place of what it makes now.
  void redirect(std::size_t i, ValueId value);

  // Puts the living nodes into the graph, and verifies it where DERMLENS_VERIFY is set.
  Result<void> finish();

 private:
  void count_reads(const Node& node, int step);

  Graph& graph_;
  std::vector<Node> nodes_;
  std::vector<bool> alive_;
  std::vector<bool> outputs_;
  std::vector<std::size_t> makers_;
  std::vector<int> reads_;
};

}  // namespace dermlens::graph
