// Walks the messages with protozero, whose exceptions end here. A field with an unexpected wire
// type is an unknown field, as in protobuf itself.
#include "onnx/protobuf_fields.h"

namespace dermlens::onnx {
namespace {

using namespace wire;

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

Result<GraphView> parse_graph(ByteView bytes, const Visit& visit_initializer) {
  return guarded("the graph", [&]() -> Result<GraphView> {
    GraphView graph;
    pbf_reader reader = reader_of(bytes);
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case field(1, kBytes):
          ++graph.nodes;
          reader.skip();
          graph.nodes_part = bytes.first(bytes.size() - reader.length());
          break;
        case field(5, kBytes):
          ++graph.initializers;
          TRY_VOID(visit_initializer(bytes_of(reader)));
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

Result<void> for_each_node(const GraphView& graph, const Visit& visit) {
  return guarded("the graph", [&]() -> Result<void> {
    pbf_reader reader = reader_of(graph.nodes_part);
    while (reader.next()) {
      if (reader.tag_and_type() == field(1, kBytes))
        TRY_VOID(visit(bytes_of(reader)));
      else
        reader.skip();
    }
    return {};
  });
}

}  // namespace dermlens::onnx
