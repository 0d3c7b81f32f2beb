// A model's graph for Graphviz.
#pragma once

#include <string>

#include "graph/graph.h"

namespace dermlens::cli {

// One box a node, one edge a value that another node reads; names are escaped.
std::string to_dot(const graph::Graph& graph);

}  // namespace dermlens::cli
