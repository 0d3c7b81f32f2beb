#include "cli/inspect_dot.h"

#include <sstream>

namespace dermlens::cli {
namespace {

std::string quoted(std::string_view text) {
  std::string escaped = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  return escaped + '"';
}

}  // namespace

std::string to_dot(const graph::Graph& graph) {
  std::ostringstream out;
  out << "digraph model {\n  rankdir=TB;\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (const graph::Input& input : graph.inputs()) {
    const graph::Value& value = graph.value(input.value);
    out << "  " << quoted(value.name)
        << " [shape=ellipse, tooltip=" << quoted(to_string(value.type)) << "];\n";
  }
  for (const graph::Node& node : graph.nodes()) {
    const graph::Value& value = graph.value(node.output);
    out << "  " << quoted(value.name) << " [label=" << quoted(name_of(node.op))
        << ", tooltip=" << quoted(value.name + " " + to_string(value.type)) << "];\n";
    for (const graph::ValueId id : node.inputs)
      if (id != graph::kNoValue && !graph.is_constant(id))
        out << "  " << quoted(graph.value(id).name) << " -> " << quoted(value.name)
            << " [label=" << quoted(graph::to_string(graph.value(id).type.shape)) << "];\n";
  }
  out << "}\n";
  return std::move(out).str();
}

}  // namespace dermlens::cli
