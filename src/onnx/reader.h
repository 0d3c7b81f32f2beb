// ONNX bytes to graph::Graph (ONNX IR, opsets 9 to 18 of the default domain; onnx.proto3). Reads
// the mapped file in place: weights are never copied. Refuses what it does not know, by name.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "graph/graph.h"

namespace dermlens::onnx {

inline constexpr std::int64_t kMinOpset = 9;
inline constexpr std::int64_t kMaxOpset = 18;

// A model as read: the graph, its metadata, and where its bytes live.
struct Model {
  graph::Graph graph;
  std::map<std::string, std::string> metadata;  // metadata_props
  std::string path;
  std::string producer;  // producer_name and version
  std::int64_t ir_version = 0;
  std::int64_t model_version = 0;
  std::int64_t opset = 0;
  Bytes parameters = 0;  // elements in initializers of rank >= 1
  Bytes memory = 0;      // what the graph and the metadata take, estimated from above
  std::map<std::string, std::size_t> operators;  // ONNX op_type -> count
  // ONNX names that the graph itself does not know their value by: what Identity, Dropout and
  // reshapes to the same shape are called. See find_value().
  std::map<std::string, graph::ValueId> aliases;
  // The file's outputs, in its order. Those that need an operator we do not have are no outputs of
  // the graph; find_value() says why.
  std::vector<std::string> outputs;
  // ONNX names of values that do not exist here, and the cause of each.
  std::map<std::string, std::shared_ptr<const Error>> unsupported;
  std::vector<std::shared_ptr<const MappedFile>> files;  // the model, then external data
  bool damaged() const;                                  // any of the files changed under us
};

struct ReadOptions {
  // What a dimension without a number becomes, by the input's name; the batch dimension is 1.
  std::map<std::string, graph::Shape> input_shapes;
  // Values for inputs that decide shapes (axes, pads, a new shape), by the input's name; such an
  // input is then a constant and no longer an input of the graph.
  std::map<std::string, std::vector<std::int64_t>> bound_inputs;
  // The same for inputs of a floating type (the value to pad with, the bounds of Clip).
  std::map<std::string, std::vector<float>> bound_numbers;
  // What the graph and the metadata may take. It is estimated, from above, while they grow.
  Bytes most_bytes = std::numeric_limits<Bytes>::max();
};

// Fails with malformed (also: truncated), unsupported (names node, operator and opset), too_large,
// over_limit, not_found or io; with usage where the options name inputs the model does not have, or
// shapes it contradicts. An operator we do not have is an error only where every output needs it.
// External data is read only from the model's own folder.
Result<Model> read_model(const std::string& path, const ReadOptions& options = {});

// The same from bytes that `owner` keeps alive; the model's constants share it. Without a folder,
// external data is unsupported.
Result<Model> read_model_from_bytes(ByteView bytes, std::shared_ptr<const void> owner,
                                    const ReadOptions& options = {});

// The value an ONNX name stands for, whether the graph calls it so or not. Fails with not_found, or
// with unsupported where its operator, or one before it, is.
// Values that passes have removed are found no more: ask before, and mark what you need as output.
Result<graph::ValueId> find_value(const Model& model, std::string_view name);

}  // namespace dermlens::onnx
