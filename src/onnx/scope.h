// The names of a model while its nodes become a graph, in order. Every node whose inputs are
// constants and whose result is small is computed at once, so chains of shape arithmetic vanish.
// What computing them may cost is bounded for the whole model.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "graph/graph.h"
#include "onnx/tensors.h"

namespace dermlens::onnx {

class Scope {
 public:
  explicit Scope(graph::Graph& graph) : graph_(graph) {}

  graph::Graph& graph() { return graph_; }
  const graph::Graph& graph() const { return graph_; }

  // The value an ONNX name stands for. Fails with malformed where no earlier node defines it.
  Result<graph::ValueId> lookup(std::string_view name) const;
  bool contains(std::string_view name) const { return values_.contains(std::string(name)); }
  // Fails with malformed where the name stands for something already.
  Result<void> define(std::string_view name, graph::ValueId value);
  // A value that exists in ONNX but not here, whatever a handler made of it before it gave up: an
  // error only where somebody reads it.
  void define_missing(std::string_view name, std::shared_ptr<const Error> why);
  // Why the name stands for nothing, or null.
  std::shared_ptr<const Error> why_missing(std::string_view name) const;

  // Adds a node, or the constant it comes to. The value is called `name` where that is free.
  Result<graph::ValueId> emit(graph::Op op, std::vector<graph::ValueId> inputs,
                              std::string_view name);
  // Fails with too_large where the constants that are not in a file come to too many bytes.
  Result<graph::ValueId> add_constant(std::string_view name, TypedConstant constant);

  // Of the constants that were computed or copied.
  Bytes owned_bytes() const { return owned_bytes_; }

  // The ONNX names that the graph itself does not know the value under.
  std::map<std::string, graph::ValueId> aliases() const;
  // All names for which why_missing() has an answer.
  std::map<std::string, std::shared_ptr<const Error>> missing() const {
    return {missing_.begin(), missing_.end()};
  }

 private:
  Result<std::optional<graph::ValueId>> fold(const graph::Op& op,
                                             std::span<const graph::ValueId> inputs,
                                             std::string_view name);

  graph::Graph& graph_;
  std::unordered_map<std::string, graph::ValueId> values_;
  std::unordered_map<std::string, std::shared_ptr<const Error>> missing_;
  std::size_t folded_elements_ = 0;
  Bytes owned_bytes_ = 0;
};

}  // namespace dermlens::onnx
