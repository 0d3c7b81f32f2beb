// ONNX bytes to ONNX bytes: a model file rewritten with other initializers, more nodes and other
// metadata, everything else as it was. Weights stream from file to file and are never held in
// memory; the result appears under its name only when it is complete.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/mapped_file.h"
#include "graph/graph.h"

namespace dermlens::onnx {

// A tensor whose elements are produced while it is written: `write_to` hands all its bytes
// (row-major, little-endian) to the sink, in order, in pieces of any size.
using ByteSink = std::function<Result<void>(ByteView bytes)>;
struct NewTensor {
  graph::DType stored_as = graph::DType::f32;
  graph::Shape shape;
  std::function<Result<void>(const ByteSink& sink)> write_to;
};

// The tensor of these bytes, which are copied: for scales, zero points and the like.
NewTensor small_tensor(graph::DType stored_as, graph::Shape shape, ByteView bytes);
// A constant stored as f32 or f16, converted to f16 (nearest, ties to even) or bf16 in pieces.
// Fails with unsupported where it is stored otherwise or is not a plain constant; writing it fails
// with unsupported where a finite element is too large for the type. The bytes are kept alive by
// the constant's owner; where they lie in `file` (may be null), its pages are given back on the
// way.
Result<NewTensor> narrowed(const graph::Constant& constant, graph::Shape shape,
                           graph::DType stored_as, std::shared_ptr<const MappedFile> file = {});

struct NewAttribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>> value;
};

struct NewNode {
  std::string op_type;
  std::string name;
  std::vector<std::string> inputs, outputs;
  std::vector<NewAttribute> attributes;
};

// An initializer in the place of another, under a name of its own (which may be the old one).
struct Replacement {
  std::string name;
  NewTensor tensor;
};

struct Edit {
  std::map<std::string, Replacement> replaced;  // by the name of the old initializer
  std::map<std::string, NewTensor> added;       // initializers, by name
  // New nodes, by the index of the old node they stand before (0: first of all; the number of old
  // nodes: last of all), in the order given.
  std::map<std::size_t, std::vector<NewNode>> nodes_before;
  // What an old node reads instead: its index, then old input name to new one.
  std::map<std::size_t, std::map<std::string, std::string>> redirected;
  std::map<std::string, std::string> metadata;  // added or replaced
  std::vector<std::string> removed_metadata;
  std::string producer;  // empty: as it was
  // Raises the default domain's opset to at least this; 0: as it was. The caller knows that the old
  // nodes mean the same there.
  std::int64_t least_opset = 0;
};

// Calls `visit` with each node of the model, in file order; for finding out what to edit.
struct NodeSummary {
  std::size_t index = 0;
  std::string name, op_type;
  std::vector<std::string> inputs, outputs;
};
Result<void> visit_nodes(const std::string& path,
                         const std::function<Result<void>(const NodeSummary&)>& visit);

// Writes `to` from `from`; they may be the same path, and a symbolic link is followed. External
// data becomes part of the new file. Fails with usage where `to` is there and no regular file, or
// the edit names what the model does not have, with too_large where the result would pass the 2 GiB
// of a protobuf message, with corrupt where `from` changed meanwhile, with io, or as read_model
// does; `to` is then as it was before.
Result<void> rewrite_model(const std::string& from, const std::string& to, const Edit& edit);

}  // namespace dermlens::onnx
