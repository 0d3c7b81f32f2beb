// The messages of onnx.proto3 as light views over the mapped bytes: strings and weights stay where
// they are, only counts and numbers are taken out. First station of `onnx`; every field is bounded
// here, unknown fields are skipped, no message is followed into subgraphs.
// A view is valid while the bytes it was parsed from live.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "base/result.h"
#include "graph/type.h"

namespace dermlens::onnx {

// Bounds on what a file may claim. Real networks stay far below them.
struct Limits {
  static constexpr std::size_t nodes = 50'000;
  static constexpr std::size_t initializers = 50'000;
  static constexpr std::size_t values = 200'000;           // of the graph they become
  static constexpr std::size_t typed_elements = 8u << 20;  // of one tensor not in raw bytes
  static constexpr std::size_t inputs = 1'000;             // of the graph, and outputs
  static constexpr std::size_t node_inputs = 4'096;        // and outputs
  static constexpr std::size_t attributes = 64;            // of one node
  static constexpr std::size_t attribute_numbers = 65'536;
  static constexpr std::size_t name_bytes = 4'096;
  static constexpr std::size_t metadata_entries = 1'024;
  static constexpr std::size_t metadata_bytes = 4u << 20;  // all keys and values
  static constexpr std::size_t opset_imports = 64;
};

// onnx.TensorProto.DataType
enum class DataType : std::int32_t {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
};
// "float16"; "type 42" for one we do not know.
std::string name_of(DataType type);

struct TensorView {
  std::string_view name;
  DataType data_type = DataType::undefined;
  graph::Shape dims;
  std::optional<ByteView> raw;
  // Set where the bytes lie in a file beside the model.
  bool external = false;
  std::string_view location;
  std::string_view offset, length;  // decimal; empty where absent
  // The whole message: the typed fields (float_data, int32_data, ...) are decoded on demand.
  ByteView message;
};

// The kinds of attribute we read; a subgraph, a sparse tensor or a type is `other`.
enum class AttributeKind : std::uint8_t {
  number,
  integer,
  string,
  tensor,
  numbers,
  integers,
  other
};

struct AttributeView {
  std::string_view name;
  AttributeKind kind = AttributeKind::other;
  float number = 0;
  std::int64_t integer = 0;
  std::string_view string;
  ByteView tensor;  // parse_tensor() reads it
  std::vector<float> numbers;
  std::vector<std::int64_t> integers;
};

struct NodeView {
  std::string_view name, op_type, domain;
  std::vector<std::string_view> inputs, outputs;  // an absent optional one is empty
  std::vector<AttributeView> attributes;
};

// A dimension: its number, or -1 where it has none.
struct ValueInfoView {
  std::string_view name;
  DataType data_type = DataType::undefined;
  bool has_shape = false;
  graph::Shape dims;
};

struct OpsetView {
  std::string_view domain;
  std::int64_t version = 0;
};

struct MetadataView {
  std::string_view key, value;
};

struct ModelView {
  std::int64_t ir_version = 0, model_version = 0;
  std::string_view producer_name, producer_version;
  std::vector<OpsetView> opsets;
  std::vector<MetadataView> metadata;
  ByteView graph;
};

struct GraphView {
  std::vector<ValueInfoView> inputs, outputs;
  std::size_t nodes = 0, initializers = 0;
  ByteView nodes_part;  // the message's beginning, up to the last node
};

Result<ModelView> parse_model(ByteView bytes);
// Called with the bytes of one node (or initializer) after the other; what fails ends the walk.
using Visit = std::function<Result<void>(ByteView message)>;
// The graph but for its nodes, in one walk from front to back.
Result<GraphView> parse_graph(ByteView bytes, const Visit& visit_initializer);
Result<void> for_each_node(const GraphView& graph, const Visit& visit);
Result<NodeView> parse_node(ByteView bytes);
Result<TensorView> parse_tensor(ByteView bytes);

// The typed fields of a tensor, packed or not. Fail with malformed where there are not just
// `count`.
Result<std::vector<std::int64_t>> typed_integers(const TensorView& tensor, std::size_t count);
// float_data or double_data as they lie in the file, when they lie there in one piece; their bytes
// copied together otherwise.
struct TypedReals {
  std::optional<ByteView> in_place;
  std::vector<std::byte> copied;
};
Result<TypedReals> typed_reals(const TensorView& tensor, std::size_t count);

}  // namespace dermlens::onnx
