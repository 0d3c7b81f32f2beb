// Nodes, their attributes, and tensors.
#include "onnx/protobuf_fields.h"

namespace dermlens::onnx {
namespace {

using namespace wire;

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

}  // namespace

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

}  // namespace dermlens::onnx
