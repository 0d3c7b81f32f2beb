// Walks the messages with protozero, whose exceptions end here. A field with an unexpected wire
// type is an unknown field, as in protobuf itself.
#include "onnx/protobuf.h"

#include <exception>
#include <protozero/pbf_reader.hpp>

namespace dermlens::onnx {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

constexpr auto kVarint = pbf_wire_type::varint;
constexpr auto kFixed32 = pbf_wire_type::fixed32;
constexpr auto kFixed64 = pbf_wire_type::fixed64;
constexpr auto kBytes = pbf_wire_type::length_delimited;

constexpr std::uint32_t field(protozero::pbf_tag_type tag, pbf_wire_type type) {
  return protozero::tag_and_type(tag, type);
}

pbf_reader reader_of(ByteView bytes) {
  return pbf_reader(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

ByteView bytes_of(pbf_reader& reader) {
  const auto view = reader.get_view();
  return {reinterpret_cast<const std::byte*>(view.data()), view.size()};
}

std::string_view text_of(pbf_reader& reader) {
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

// The edge of protozero: what it throws becomes malformed.
template <class Body>
auto guarded(std::string_view message, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return fail(Errc::malformed, "broken protobuf in ", message, " (", error.what(), ")");
  }
}

Result<void> bound(std::string_view what, std::size_t value, std::size_t limit) {
  if (value > limit) return fail(Errc::too_large, what, " (", value, ", ", limit, ")");
  return {};
}

Result<std::string_view> name_field(pbf_reader& reader, std::string_view what) {
  const std::string_view text = text_of(reader);
  TRY_VOID(bound(what, text.size(), Limits::name_bytes));
  return text;
}

Result<void> append_name(std::vector<std::string_view>& names, pbf_reader& reader) {
  TRY_VOID(bound("inputs or outputs of a node", names.size() + 1, Limits::node_inputs));
  TRY(names.emplace_back(), name_field(reader, "name's bytes"));
  return {};
}

template <class Number, class Range>
Result<void> append_numbers(std::vector<Number>& numbers, const Range& range, std::size_t limit) {
  for (const auto number : range) {
    TRY_VOID(bound("numbers in one field", numbers.size() + 1, limit));
    numbers.push_back(number);
  }
  return {};
}

Result<void> read_external_entry(ByteView bytes, TensorView& tensor) {
  pbf_reader entry = reader_of(bytes);
  std::string_view key, value;
  while (entry.next()) {
    switch (entry.tag_and_type()) {
      case field(1, kBytes):
        key = text_of(entry);
        break;
      case field(2, kBytes):
        value = text_of(entry);
        break;
      default:
        entry.skip();
    }
  }
  TRY_VOID(bound("bytes of an external-data entry", value.size(), Limits::name_bytes));
  if (key == "location") tensor.location = value;
  if (key == "offset") tensor.offset = value;
  if (key == "length") tensor.length = value;
  return {};
}

Result<void> read_dims(pbf_reader shape, graph::Shape& dims) {
  while (shape.next()) {
    if (shape.tag_and_type() != field(1, kBytes)) {
      shape.skip();
      continue;
    }
    pbf_reader dimension = shape.get_message();
    TRY_VOID(bound("dimensions of a value", dims.size() + 1, graph::kMaxRank));
    std::int64_t& size = dims.emplace_back(-1);
    while (dimension.next()) {
      if (dimension.tag_and_type() != field(1, kVarint)) {
        dimension.skip();
        continue;
      }
      // tf2onnx writes -1 for a dimension it does not know.
      size = dimension.get_int64();
      if (size < -1) return fail(Errc::malformed, "negative dimension (", size, ")");
    }
  }
  return {};
}

Result<void> read_type(pbf_reader type, ValueInfoView& value) {
  while (type.next()) {
    if (type.tag_and_type() != field(1, kBytes)) {
      type.skip();
      continue;
    }
    pbf_reader tensor = type.get_message();
    while (tensor.next()) {
      switch (tensor.tag_and_type()) {
        case field(1, kVarint):
          value.data_type = DataType{tensor.get_int32()};
          break;
        case field(2, kBytes):
          value.has_shape = true;
          value.dims.clear();
          TRY_VOID(read_dims(tensor.get_message(), value.dims));
          break;
        default:
          tensor.skip();
      }
    }
  }
  return {};
}

Result<ValueInfoView> read_value_info(pbf_reader info) {
  ValueInfoView value;
  while (info.next()) {
    switch (info.tag_and_type()) {
      case field(1, kBytes): {
        TRY(value.name, name_field(info, "bytes of a value's name"));
        break;
      }
      case field(2, kBytes):
        TRY_VOID(read_type(info.get_message(), value));
        break;
      default:
        info.skip();
    }
  }
  return value;
}

AttributeKind kind_of(std::int32_t type) {
  switch (type) {
    case 1:
      return AttributeKind::number;
    case 2:
      return AttributeKind::integer;
    case 3:
      return AttributeKind::string;
    case 4:
      return AttributeKind::tensor;
    case 6:
      return AttributeKind::numbers;
    case 7:
      return AttributeKind::integers;
    default:
      return AttributeKind::other;
  }
}

Result<AttributeView> read_attribute(pbf_reader reader) {
  AttributeView attribute;
  std::optional<AttributeKind> said, seen;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case field(1, kBytes): {
        TRY(attribute.name, name_field(reader, "bytes of an attribute's name"));
        break;
      }
      case field(2, kFixed32):
        attribute.number = reader.get_float();
        seen = AttributeKind::number;
        break;
      case field(3, kVarint):
        attribute.integer = reader.get_int64();
        seen = AttributeKind::integer;
        break;
      case field(4, kBytes):
        attribute.string = text_of(reader);
        seen = AttributeKind::string;
        break;
      case field(5, kBytes):
        attribute.tensor = bytes_of(reader);
        seen = AttributeKind::tensor;
        break;
      case field(7, kBytes):
        TRY_VOID(append_numbers(attribute.numbers, reader.get_packed_float(),
                                Limits::attribute_numbers));
        seen = AttributeKind::numbers;
        break;
      case field(7, kFixed32):
        attribute.numbers.push_back(reader.get_float());
        seen = AttributeKind::numbers;
        break;
      case field(8, kBytes):
        TRY_VOID(append_numbers(attribute.integers, reader.get_packed_int64(),
                                Limits::attribute_numbers));
        seen = AttributeKind::integers;
        break;
      case field(8, kVarint):
        attribute.integers.push_back(reader.get_int64());
        seen = AttributeKind::integers;
        break;
      case field(20, kVarint):
        said = kind_of(reader.get_int32());
        break;
      case field(6, kBytes):   // a subgraph
      case field(9, kBytes):   // strings
      case field(21, kBytes):  // a reference to a function's attribute
        seen = AttributeKind::other;
        reader.skip();
        break;
      default:
        reader.skip();
    }
    TRY_VOID(bound("numbers in an attribute", attribute.integers.size() + attribute.numbers.size(),
                   Limits::attribute_numbers));
  }
  // The type may be left out by old exporters, and a default value (0, "", []) on the wire too.
  attribute.kind = said.value_or(seen.value_or(AttributeKind::other));
  if (said && seen && *said != *seen) attribute.kind = AttributeKind::other;
  return attribute;
}

Result<void> read_opset(pbf_reader reader, ModelView& model) {
  TRY_VOID(bound("opset imports", model.opsets.size() + 1, Limits::opset_imports));
  OpsetView& opset = model.opsets.emplace_back();
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case field(1, kBytes): {
        TRY(opset.domain, name_field(reader, "bytes of a domain"));
        break;
      }
      case field(2, kVarint):
        opset.version = reader.get_int64();
        break;
      default:
        reader.skip();
    }
  }
  return {};
}

Result<void> read_metadata(pbf_reader reader, ModelView& model, std::size_t& total) {
  TRY_VOID(bound("metadata entries", model.metadata.size() + 1, Limits::metadata_entries));
  MetadataView& entry = model.metadata.emplace_back();
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case field(1, kBytes):
        entry.key = text_of(reader);
        break;
      case field(2, kBytes):
        entry.value = text_of(reader);
        break;
      default:
        reader.skip();
    }
  }
  total += entry.key.size() + entry.value.size();
  return bound("bytes of metadata", total, Limits::metadata_bytes);
}

Result<void> for_each(ByteView graph, protozero::pbf_tag_type tag, const Visit& visit) {
  pbf_reader reader = reader_of(graph);
  while (reader.next()) {
    if (reader.tag_and_type() != field(tag, kBytes)) {
      reader.skip();
      continue;
    }
    TRY_VOID(visit(bytes_of(reader)));
  }
  return {};
}

}  // namespace

std::string name_of(DataType type) {
  static constexpr std::string_view names[] = {
      "undefined", "float32", "uint8",     "int8",       "uint16",  "int16",
      "int32",     "int64",   "string",    "bool",       "float16", "float64",
      "uint32",    "uint64",  "complex64", "complex128", "bfloat16"};
  const auto index = static_cast<std::int64_t>(type);
  if (index >= 0 && index < std::ssize(names)) return std::string(names[index]);
  return "type " + std::to_string(index);
}

Result<ModelView> parse_model(ByteView bytes) {
  return guarded("the model", [&]() -> Result<ModelView> {
    ModelView model;
    std::size_t metadata_bytes = 0;
    bool has_graph = false;
    pbf_reader reader = reader_of(bytes);
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case field(1, kVarint):
          model.ir_version = reader.get_int64();
          break;
        case field(2, kBytes): {
          TRY(model.producer_name, name_field(reader, "bytes of the producer's name"));
          break;
        }
        case field(3, kBytes): {
          TRY(model.producer_version, name_field(reader, "bytes of the producer's version"));
          break;
        }
        case field(5, kVarint):
          model.model_version = reader.get_int64();
          break;
        case field(7, kBytes):
          if (has_graph) return fail(Errc::malformed, "model has two graphs");
          model.graph = bytes_of(reader);
          has_graph = true;
          break;
        case field(8, kBytes):
          TRY_VOID(read_opset(reader.get_message(), model));
          break;
        case field(14, kBytes):
          TRY_VOID(read_metadata(reader.get_message(), model, metadata_bytes));
          break;
        default:
          reader.skip();
      }
    }
    if (!has_graph) return fail(Errc::malformed, "not an ONNX model (it has no graph)");
    return model;
  });
}

Result<GraphView> parse_graph(ByteView bytes) {
  return guarded("the graph", [&]() -> Result<GraphView> {
    GraphView graph;
    pbf_reader reader = reader_of(bytes);
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case field(1, kBytes):
          ++graph.nodes;
          reader.skip();
          break;
        case field(5, kBytes):
          ++graph.initializers;
          reader.skip();
          break;
        case field(11, kBytes): {
          TRY(graph.inputs.emplace_back(), read_value_info(reader.get_message()));
          break;
        }
        case field(12, kBytes): {
          TRY(graph.outputs.emplace_back(), read_value_info(reader.get_message()));
          break;
        }
        case field(15, kBytes):
          return fail(Errc::unsupported, "sparse initializers");
        default:
          reader.skip();
      }
      TRY_VOID(bound("nodes", graph.nodes, Limits::nodes));
      TRY_VOID(bound("initializers", graph.initializers, Limits::initializers));
      // Files older than IR 4 list every initializer as an input too.
      TRY_VOID(bound("graph inputs", graph.inputs.size(), Limits::inputs + Limits::initializers));
      TRY_VOID(bound("graph outputs", graph.outputs.size(), Limits::inputs));
    }
    return graph;
  });
}

Result<NodeView> parse_node(ByteView bytes) {
  return guarded("a node", [&]() -> Result<NodeView> {
    NodeView node;
    pbf_reader reader = reader_of(bytes);
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case field(1, kBytes):
          TRY_VOID(append_name(node.inputs, reader));
          break;
        case field(2, kBytes):
          TRY_VOID(append_name(node.outputs, reader));
          break;
        case field(3, kBytes): {
          TRY(node.name, name_field(reader, "bytes of a node's name"));
          break;
        }
        case field(4, kBytes): {
          TRY(node.op_type, name_field(reader, "bytes of an operator's name"));
          break;
        }
        case field(5, kBytes): {
          TRY_VOID(bound("attributes", node.attributes.size() + 1, Limits::attributes));
          TRY(node.attributes.emplace_back(), read_attribute(reader.get_message()));
          break;
        }
        case field(7, kBytes): {
          TRY(node.domain, name_field(reader, "bytes of a domain"));
          break;
        }
        default:
          reader.skip();
      }
    }
    return node;
  });
}

Result<TensorView> parse_tensor(ByteView bytes) {
  return guarded("a tensor", [&]() -> Result<TensorView> {
    TensorView tensor;
    tensor.message = bytes;
    pbf_reader reader = reader_of(bytes);
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case field(1, kVarint):
          TRY_VOID(bound("dimensions of a tensor", tensor.dims.size() + 1, graph::kMaxRank));
          tensor.dims.push_back(reader.get_int64());
          break;
        case field(1, kBytes):
          TRY_VOID(append_numbers(tensor.dims, reader.get_packed_int64(), graph::kMaxRank));
          break;
        case field(2, kVarint):
          tensor.data_type = DataType{reader.get_int32()};
          break;
        case field(3, kBytes):
          return fail(Errc::unsupported, "tensor in segments");
        case field(8, kBytes): {
          TRY(tensor.name, name_field(reader, "bytes of a tensor's name"));
          break;
        }
        case field(9, kBytes):
          tensor.raw = bytes_of(reader);
          break;
        case field(13, kBytes):
          TRY_VOID(read_external_entry(bytes_of(reader), tensor));
          break;
        case field(14, kVarint):
          tensor.external = reader.get_int32() == 1;
          break;
        default:
          reader.skip();
      }
    }
    return tensor;
  });
}

Result<void> for_each_node(ByteView graph, const Visit& visit) {
  return guarded("the graph", [&] { return for_each(graph, 1, visit); });
}

Result<void> for_each_initializer(ByteView graph, const Visit& visit) {
  return guarded("the graph", [&] { return for_each(graph, 5, visit); });
}

}  // namespace dermlens::onnx
