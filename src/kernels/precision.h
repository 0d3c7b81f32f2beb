// In which arithmetic a graph is computed. A model declares it by how its weights are stored; this
// CPU decides whether that can be had. What cannot is computed in fp32 from the same weights.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace dermlens::kernels {

// Whether this CPU multiplies such numbers itself, ONEDNN_MAX_CPU_ISA obeyed. Eight bits need VNNI:
// the older kernels give up a bit of the weights so as not to overflow.
bool computes_integers();
bool computes_bf16();

struct Precision {
  // What the weights of rank 2 and more ask for: i8 or bf16 where any is stored so, else what most
  // are stored as.
  graph::DType stored = graph::DType::f32;
  // What convolutions with such weights are computed in here: f32, bf16 or i8.
  graph::DType computed = graph::DType::f32;
  // One sentence where the model declares an arithmetic that this CPU does not have; else empty.
  std::string warning;
};
Precision precision_of(const graph::Graph& graph);
// As people say: "fp32", "fp16", "bf16", "int8".
std::string_view usual_name(graph::DType type);

// Whether the node is a convolution or a product with constant bf16 weights that will be computed
// in bf16.
bool is_bf16(const graph::Graph& graph, const graph::Node& node);

// By value: whether it may lie in memory as bf16 alone. It is made by a bf16 convolution or follows
// from such, is no output, and all who read it take bf16. A layer that a heatmap looks at, and
// whatever is differentiated, is therefore fp32.
std::vector<bool> bf16_values(const graph::Graph& graph);

}  // namespace dermlens::kernels
