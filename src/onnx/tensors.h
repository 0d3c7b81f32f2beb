// TensorProto to graph::Constant. Bytes stay in the file they lie in, the model's or one beside
// it; only varint-coded fields are copied. Refuses element types the graph has no name for and
// external data outside the model's own folder.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "graph/graph.h"
#include "onnx/protobuf.h"

namespace dermlens::onnx {

// A constant and its logical type: every floating type is f32 to the graph, whatever it is stored
// as; integers and booleans keep theirs.
struct TypedConstant {
  graph::TensorType type;
  graph::Constant constant;
  Bytes owned_bytes = 0;  // what it costs in memory: 0 where the bytes lie in a file
};

// How elements lie in a file; fails with unsupported for strings, complex numbers and the like.
Result<graph::DType> stored_type(DataType type);
// The type computed with: f32 for every floating one.
graph::DType logical_type(graph::DType stored);

// A constant that owns its bytes. `bytes` are those of `shape` in `stored_as`.
TypedConstant own_bytes(graph::DType stored_as, graph::Shape shape, std::vector<std::byte> bytes);
// Elements of any integer type or boolean, each known to fit.
TypedConstant own_integers(graph::DType type, graph::Shape shape,
                           std::span<const std::int64_t> values);
// Fails with malformed where an element does not fit the type.
Result<void> check_integers(graph::DType type, std::span<const std::int64_t> values);
TypedConstant own_floats(graph::Shape shape, std::span<const float> values);

class TensorReader {
 public:
  // `owner` keeps the model's bytes alive. `folder` is where external data may lie; empty: nowhere.
  TensorReader(std::shared_ptr<const void> owner, std::string folder)
      : owner_(std::move(owner)), folder_(std::move(folder)) {}

  Result<TypedConstant> read(const TensorView& tensor);

  // The external files opened so far.
  const std::vector<std::shared_ptr<const MappedFile>>& files() const { return files_; }

 private:
  Result<std::shared_ptr<const MappedFile>> open_beside(std::string_view location);
  Result<TypedConstant> read_external(const TensorView& tensor, graph::TensorType stored);
  Result<TypedConstant> read_typed(const TensorView& tensor, graph::TensorType stored);

  std::shared_ptr<const void> owner_;
  std::string folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> by_location_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
};

}  // namespace dermlens::onnx
