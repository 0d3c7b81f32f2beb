// The definition of every operator in plain loops, over double: what tests compare the kernels
// with, what finite differences need, and what folds constants. Slow by design, no oneDNN.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace dermlens::graph {

// A tensor by value, row-major. Floating types live in `reals`, integers and booleans in
// `integers`; exactly one of them is filled.
struct Tensor {
  TensorType type;
  std::vector<double> reals;
  std::vector<std::int64_t> integers;
};

Tensor tensor_of(const Value& constant);

// A constant that holds the tensor's numbers: floating types as f32, the others as they are.
Constant constant_of(const Tensor& tensor);

// One number through a function, and the function's derivative there; `fn` is not logical_not.
double evaluate(const Unary& unary, double x);
double derivative(const Unary& unary, double x);

// The result of one operator; an absent optional input is nullptr. Nothing is rounded to the
// element type but by Quantize and by casts to integers. Integer arithmetic wraps, and division
// truncates. Fails as infer() does, and with malformed where numbers make no sense (a division of
// integers by zero, an index outside its axis) or a tensor does not hold its type's elements.
Result<Tensor> evaluate(const Op& op, std::span<const Tensor* const> inputs);

// Runs the whole graph. `inputs` in the order of graph.inputs(), late ones included; returns every
// value asked for in `wanted`. What is not wanted any more is freed on the way.
Result<std::vector<Tensor>> evaluate(const Graph& graph, std::span<const Tensor> inputs,
                                     std::span<const ValueId> wanted);

}  // namespace dermlens::graph
