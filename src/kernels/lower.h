// From operators and shapes to primitive descriptors: chooses blocked layouts, inserts reorders
// where neighbours disagree, runs in place where a value is dead afterwards.
#pragma once

#include "kernels/lowered.h"

namespace dermlens::kernels {

// The CPU engine that every descriptor belongs to; created once for the process.
const dnnl::engine& cpu_engine();

// Row-major layout of `dims`; a scalar is {1}.
Desc plain_desc(const graph::Shape& dims,
                dnnl::memory::data_type type = dnnl::memory::data_type::f32);

// `graph` is fused and verified; it must outlive nothing: weights are named by value id. Fails with
// unsupported, naming the node, for an operator or element type that has no kernel.
Result<Lowered> lower(const graph::Graph& graph);

// At least what lower() takes while it works, whatever the graph: more than measured, so that it
// may be asked for before. Nothing in it grows with the size of a value, but for lists that the
// graph itself holds.
Bytes lowering_bytes(const graph::Graph& graph);

// What decides the layouts beside the graph: instruction set in use and library version, for keys.
std::string engine_version();

}  // namespace dermlens::kernels
