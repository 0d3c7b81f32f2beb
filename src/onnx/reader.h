// ONNX bytes to graph::Graph (ONNX IR, opsets 9 to 18 of the default domain; onnx.proto3). Reads
// the mapped file in place: weights are never copied. Refuses what it does not know, by name.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "graph/graph.h"

namespace dermlens::onnx {

// A model as read: the graph, its metadata, and where its bytes live.
struct Model {
  graph::Graph graph;
  std::map<std::string, std::string> metadata;   // metadata_props
  std::string path;
  std::string producer;                           // producer_name and version
  std::int64_t ir_version = 0;
  std::int64_t opset = 0;
  Bytes parameters = 0;                           // elements in initializers of rank >= 1
  std::map<std::string, std::size_t> operators;   // ONNX op_type -> count
  std::vector<std::shared_ptr<const MappedFile>> files;  // the model, then external data
  bool damaged() const;                           // any of the files changed under us
};

struct ReadOptions {
  // What a dimension without a number becomes, by the input's name; the batch dimension is 1.
  std::map<std::string, graph::Shape> input_shapes;
  // Values for inputs that decide shapes (axes, pads, a new shape), by the input's name; such an
  // input is then a constant and no longer an input of the graph.
  std::map<std::string, std::vector<std::int64_t>> bound_inputs;
};

// Fails with malformed (also: truncated), unsupported (names node, operator and opset), too_large,
// not_found or io. External data is read only from the model's own folder.
Result<Model> read_model(const std::string& path, const ReadOptions& options = {});

}  // namespace dermlens::onnx
