// One rule for each operator: from the gradient of a node's result to the gradients of its inputs.
// Internal to src/grad.
//
// Gradients stay small as long as they can: one may have 1 where its value has a larger dimension,
// and then stands for itself repeated along it. What a pooling over H x W spreads evenly is
// thus expanded only where an operator needs it in full (Site::full).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "grad/emitter.h"
#include "graph/graph.h"

namespace dermlens::grad {

// One for each input of the node: of the input's element type and rank, each dimension the input's
// or 1; kNoValue where it is not wanted or zero everywhere.
using Gradients = std::vector<graph::ValueId>;

// What a rule knows and what it works with.
class Site {
 public:
  Site(Emitter& emitter, const graph::Node& node, graph::ValueId gradient, std::vector<bool> wanted)
      : emit(emitter), dy(gradient), node_(node), wanted_(std::move(wanted)) {}

  Emitter& emit;
  graph::ValueId dy;  // of the result's element type and rank, each dimension the result's or 1

  graph::ValueId input(std::size_t i) const { return node_.inputs[i]; }
  std::size_t input_count() const { return node_.inputs.size(); }
  graph::ValueId output() const { return node_.output; }
  graph::Shape input_shape(std::size_t i) const { return emit.shape(input(i)); }
  graph::Shape output_shape() const { return emit.shape(output()); }

  // Whether the gradient of input i is asked for. Names what follows after that input, if so.
  bool wants(std::size_t i) const;
  // dy, expanded to the result's shape.
  Result<graph::ValueId> full() const;
  // `gradient` of the result's shape, summed to that of input i, if that was broadcast.
  Result<graph::ValueId> summed_to_input(graph::ValueId gradient, std::size_t i) const;
  Gradients none() const { return Gradients(node_.inputs.size(), graph::kNoValue); }
  // Of the only input that has one.
  Gradients only(graph::ValueId gradient) const;
  // "no derivative of Conv 'stem' with respect to <what>"
  tl::unexpected<Error> no_derivative(std::string_view what) const;

 private:
  graph::Node node_;  // a copy: what is appended moves the graph's nodes
  std::vector<bool> wanted_;
};

// The gradients of one node's inputs. Fails with unsupported where there is no derivative, with
// internal where the node has post-ops.
Result<Gradients> differentiate(const graph::Op& op, const Site& site);

Result<Gradients> rule(const graph::Conv& op, const Site& site);
Result<Gradients> rule(const graph::ConvBackwardData& op, const Site& site);
Result<Gradients> rule(const graph::MatMul& op, const Site& site);

Result<Gradients> rule(const graph::Unary& op, const Site& site);
Result<Gradients> rule(const graph::Binary& op, const Site& site);
Result<Gradients> rule(const graph::Where& op, const Site& site);
Result<Gradients> rule(const graph::Cast& op, const Site& site);

Result<Gradients> rule(const graph::Reduce& op, const Site& site);
Result<Gradients> rule(const graph::Pool& op, const Site& site);
Result<Gradients> rule(const graph::Softmax& op, const Site& site);

Result<Gradients> rule(const graph::Transpose& op, const Site& site);
Result<Gradients> rule(const graph::Reshape& op, const Site& site);
Result<Gradients> rule(const graph::Expand& op, const Site& site);
Result<Gradients> rule(const graph::Slice& op, const Site& site);
Result<Gradients> rule(const graph::SliceBackward& op, const Site& site);
Result<Gradients> rule(const graph::Concat& op, const Site& site);
Result<Gradients> rule(const graph::Pad& op, const Site& site);
Result<Gradients> rule(const graph::Gather& op, const Site& site);

Result<Gradients> rule(const graph::Quantize& op, const Site& site);
Result<Gradients> rule(const graph::Dequantize& op, const Site& site);

Result<Gradients> rule(const graph::UnaryBackward& op, const Site& site);
Result<Gradients> rule(const graph::PoolBackward& op, const Site& site);

}  // namespace dermlens::grad
