// Rewriting: the old file is walked field by field; what the edit does not mention is copied as it
// lies there, doc strings and unknown fields included.
#include "onnx/writer.h"

#include <algorithm>
#include <filesystem>
#include <protozero/pbf_writer.hpp>
#include <set>

#include "onnx/pages_behind.h"
#include "onnx/pieces.h"
#include "onnx/protobuf_fields.h"
#include "onnx/tensors.h"

namespace dermlens::onnx {
namespace {

using namespace wire;
using graph::DType;

DataType data_type_of(DType type) {
  switch (type) {
    case DType::f32:
      return DataType::float32;
    case DType::f16:
      return DataType::float16;
    case DType::bf16:
      return DataType::bfloat16;
    case DType::f64:
      return DataType::float64;
    case DType::i8:
      return DataType::int8;
    case DType::u8:
      return DataType::uint8;
    case DType::i32:
      return DataType::int32;
    case DType::i64:
      return DataType::int64;
    case DType::boolean:
      return DataType::boolean;
  }
  return DataType::undefined;
}

std::string encode(const NewAttribute& attribute) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(1, attribute.name);
  if (const auto* integer = std::get_if<std::int64_t>(&attribute.value)) {
    writer.add_int64(3, *integer);
    writer.add_enum(20, 2);
  } else if (const auto* number = std::get_if<float>(&attribute.value)) {
    writer.add_float(2, *number);
    writer.add_enum(20, 1);
  } else if (const auto* text = std::get_if<std::string>(&attribute.value)) {
    writer.add_bytes(4, *text);
    writer.add_enum(20, 3);
  } else if (const auto* list = std::get_if<std::vector<std::int64_t>>(&attribute.value)) {
    for (const std::int64_t value : *list) writer.add_int64(8, value);
    writer.add_enum(20, 7);
  }
  return bytes;
}

std::string encode(const NewNode& node) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  for (const std::string& input : node.inputs) writer.add_string(1, input);
  for (const std::string& output : node.outputs) writer.add_string(2, output);
  writer.add_string(3, node.name);
  writer.add_string(4, node.op_type);
  for (const NewAttribute& attribute : node.attributes) writer.add_message(5, encode(attribute));
  return bytes;
}

// A TensorProto but for its raw data.
std::string tensor_head(std::string_view name, DataType type, const graph::Shape& shape) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_packed_int64(1, shape.begin(), shape.end());
  writer.add_int32(2, static_cast<std::int32_t>(type));
  writer.add_string(8, name.data(), name.size());
  return bytes;
}

// One field of a message, key included, as it lies in the file.
struct Field {
  std::uint32_t key = 0;
  ByteView whole;
  ByteView content;  // of a length-delimited one
};

Result<void> for_each_field(ByteView message,
                            const std::function<Result<void>(const Field&)>& visit) {
  return guarded("the model", [&]() -> Result<void> {
    pbf_reader reader = reader_of(message);
    std::size_t begin = 0;
    while (reader.next()) {
      Field field;
      field.key = reader.tag_and_type();
      if (reader.wire_type() == kBytes)
        field.content = bytes_of(reader);
      else
        reader.skip();
      const std::size_t end = message.size() - reader.length();
      field.whole = message.subspan(begin, end - begin);
      begin = end;
      TRY_VOID(visit(field));
    }
    return {};
  });
}

// Checks the graph's bounds, and says where its nodes lie.
Result<GraphView> count_graph(ByteView message, const MappedFile& file) {
  PagesBehind pages(&file);
  return parse_graph(message, [&](ByteView passed) -> Result<void> {
    pages.passed(passed);
    return {};
  });
}

class Rewriter {
 public:
  Rewriter(std::shared_ptr<const MappedFile> file, std::string folder, const Edit& edit)
      : file_(std::move(file)), edit_(edit), tensors_(file_, std::move(folder)) {}

  Result<Pieces> run();
  bool damaged() const {
    const auto is_damaged = [](const auto& file) { return file->damaged(); };
    return file_->damaged() || std::ranges::any_of(tensors_.files(), is_damaged);
  }

 private:
  Result<void> model_field(const Field& field);
  Result<Pieces> graph(ByteView message);
  Result<void> graph_field(const Field& field, Pieces& out);
  Result<void> node(const Field& field, Pieces& out);
  Result<void> initializer(const Field& field, Pieces& out);
  Result<void> new_nodes(std::size_t before, Pieces& out);
  Result<void> new_tensor(std::string_view name, const NewTensor& tensor, Pieces& out);
  Result<void> check_edit() const;
  Result<void> finish_model();

  std::shared_ptr<const MappedFile> file_;
  const Edit& edit_;
  TensorReader tensors_;
  Pieces model_;
  std::size_t nodes_ = 0;
  std::set<std::string> replaced_;
};

Result<void> Rewriter::new_nodes(std::size_t before, Pieces& out) {
  const auto found = edit_.nodes_before.find(before);
  if (found == edit_.nodes_before.end()) return {};
  for (const NewNode& node : found->second) {
    std::string bytes = encode(node);
    TRY(std::string head, field_head(1, bytes.size()));
    out.add(std::move(head));
    out.add(std::move(bytes));
  }
  return {};
}

Result<void> Rewriter::new_tensor(std::string_view name, const NewTensor& tensor, Pieces& out) {
  TRY(const Bytes elements, graph::count(tensor.shape));
  const Bytes size = elements * graph::size_of(tensor.stored_as);
  std::string head = tensor_head(name, data_type_of(tensor.stored_as), tensor.shape);
  TRY(const std::string raw_head, field_head(9, size));
  head += raw_head;
  TRY(std::string outer, field_head(5, head.size() + size));
  out.add(std::move(outer));
  out.add(std::move(head));
  out.add(tensor, size);
  return {};
}

Result<void> Rewriter::node(const Field& node_field, Pieces& out) {
  const std::size_t index = nodes_++;
  TRY_VOID(new_nodes(index, out));
  const auto redirected = edit_.redirected.find(index);
  if (redirected == edit_.redirected.end()) {
    out.add(node_field.whole, file_);
    return {};
  }
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  std::set<std::string> met;
  TRY_VOID(for_each_field(node_field.content, [&](const Field& part) -> Result<void> {
    const std::string text(reinterpret_cast<const char*>(part.content.data()), part.content.size());
    const auto other = redirected->second.find(text);
    if (part.key == field(1, kBytes) && other != redirected->second.end()) {
      writer.add_string(1, other->second);
      met.insert(text);
    } else {
      bytes.append(reinterpret_cast<const char*>(part.whole.data()), part.whole.size());
    }
    return {};
  }));
  if (met.size() != redirected->second.size())
    return fail(Errc::usage, "node ", index, " does not read all of what it is to read anew");
  TRY(std::string head, field_head(1, bytes.size()));
  out.add(std::move(head));
  out.add(std::move(bytes));
  return {};
}

Result<void> Rewriter::initializer(const Field& tensor_field, Pieces& out) {
  TRY(const TensorView view, parse_tensor(tensor_field.content));
  const std::string name(view.name);
  if (const auto found = edit_.replaced.find(name); found != edit_.replaced.end()) {
    replaced_.insert(name);
    return new_tensor(found->second.name, found->second.tensor, out);
  }
  if (!view.external) {
    out.add(tensor_field.whole, file_);
    return {};
  }
  // The new file may lie in another folder: what was external moves in.
  TRY(const TypedConstant constant, tensors_.read(view));
  std::string head = tensor_head(name, view.data_type, view.dims);
  TRY(const std::string raw_head, field_head(9, constant.constant.stored.size()));
  head += raw_head;
  TRY(std::string outer, field_head(5, head.size() + constant.constant.stored.size()));
  out.add(std::move(outer));
  out.add(std::move(head));
  const auto owner = std::ranges::find(tensors_.files(), constant.constant.owner.get(),
                                       [](const auto& file) -> const void* { return file.get(); });
  if (owner == tensors_.files().end()) return fail(Errc::internal, "external data without a file");
  out.add(constant.constant.stored, *owner);
  return {};
}

Result<void> Rewriter::graph_field(const Field& part, Pieces& out) {
  if (part.key == field(1, kBytes)) return node(part, out);
  if (part.key == field(5, kBytes)) return initializer(part, out);
  if (part.key == field(11, kBytes)) {
    // Old files list initializers as inputs; one that is renamed is none any more.
    bool renamed = false;
    TRY_VOID(for_each_field(part.content, [&](const Field& inner) -> Result<void> {
      if (inner.key != field(1, kBytes)) return {};
      const auto found = edit_.replaced.find(
          std::string(reinterpret_cast<const char*>(inner.content.data()), inner.content.size()));
      renamed = found != edit_.replaced.end() && found->first != found->second.name;
      return {};
    }));
    if (renamed) return {};
  }
  out.add(part.whole, file_);
  return {};
}

Result<Pieces> Rewriter::graph(ByteView message) {
  TRY_VOID(count_graph(message, *file_));
  Pieces out;
  PagesBehind pages(file_.get());
  const auto copy = [&](const Field& part) -> Result<void> {
    TRY_VOID(graph_field(part, out));
    pages.passed(part.whole);
    return {};
  };
  TRY_VOID(for_each_field(message, copy));
  TRY_VOID(new_nodes(nodes_, out));
  for (const auto& [name, tensor] : edit_.added) TRY_VOID(new_tensor(name, tensor, out));
  TRY_VOID(check_edit());
  return out;
}

Result<void> Rewriter::check_edit() const {
  for (const auto& [name, replacement] : edit_.replaced)
    if (!replaced_.contains(name)) return fail(Errc::usage, "no initializer '", name, "'");
  if (!edit_.nodes_before.empty() && edit_.nodes_before.rbegin()->first > nodes_)
    return fail(Errc::usage, "no node ", edit_.nodes_before.rbegin()->first, " (", nodes_, ")");
  if (!edit_.redirected.empty() && edit_.redirected.rbegin()->first >= nodes_)
    return fail(Errc::usage, "no node ", edit_.redirected.rbegin()->first, " (", nodes_, ")");
  return {};
}

Result<void> Rewriter::model_field(const Field& part) {
  if (part.key == field(7, kBytes)) {
    TRY(Pieces graph_pieces, graph(part.content));
    TRY(std::string head, field_head(7, graph_pieces.size()));
    model_.add(std::move(head));
    model_.append(std::move(graph_pieces));
    return {};
  }
  const bool producer = part.key == field(2, kBytes) || part.key == field(3, kBytes);
  // These are written anew at the end.
  if (part.key == field(14, kBytes) || part.key == field(8, kBytes)) return {};
  if (producer && !edit_.producer.empty()) return {};
  model_.add(part.whole, file_);
  return {};
}

Result<void> Rewriter::finish_model() {
  TRY(const ModelView view, parse_model(file_->bytes()));
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  if (!edit_.producer.empty()) writer.add_string(2, edit_.producer);
  for (const OpsetView& opset : view.opsets) {
    const bool is_default = opset.domain.empty() || opset.domain == "ai.onnx";
    std::string entry;
    protozero::pbf_writer entry_writer(entry);
    entry_writer.add_string(1, opset.domain.data(), opset.domain.size());
    entry_writer.add_int64(2,
                           is_default ? std::max(opset.version, edit_.least_opset) : opset.version);
    writer.add_message(8, entry);
  }
  std::map<std::string, std::string> metadata;
  for (const MetadataView& entry : view.metadata)
    metadata.insert_or_assign(std::string(entry.key), std::string(entry.value));
  for (const std::string& key : edit_.removed_metadata) metadata.erase(key);
  for (const auto& [key, value] : edit_.metadata) metadata.insert_or_assign(key, value);
  for (const auto& [key, value] : metadata) {
    std::string entry;
    protozero::pbf_writer entry_writer(entry);
    entry_writer.add_string(1, key);
    entry_writer.add_string(2, value);
    writer.add_message(14, entry);
  }
  model_.add(std::move(bytes));
  return {};
}

Result<Pieces> Rewriter::run() {
  // Checked as a whole before any part is copied.
  TRY_VOID(parse_model(file_->bytes()));
  TRY_VOID(for_each_field(file_->bytes(), [&](const Field& part) { return model_field(part); }));
  TRY_VOID(finish_model());
  return std::move(model_);
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

Result<void> rewrite(const std::string& from, DraftFile& draft, const Edit& edit) {
  TRY(auto file, MappedFile::open(from));
  Rewriter rewriter(file, folder_of(from), edit);
  TRY(const Pieces pieces, rewriter.run());
  TRY_VOID(pieces.write_to(draft));
  if (rewriter.damaged()) return fail(Errc::corrupt, "the file changed while it was read");
  return {};
}

}  // namespace

Result<void> visit_nodes(const std::string& path,
                         const std::function<Result<void>(const NodeSummary&)>& visit) {
  TRY(const auto file, MappedFile::open(path));
  TRY(const ModelView model, parse_model(file->bytes()));
  TRY(const GraphView graph, count_graph(model.graph, *file));
  std::size_t index = 0;
  return for_each_node(graph, [&](ByteView message) -> Result<void> {
    TRY(const NodeView view, parse_node(message));
    NodeSummary node;
    node.index = index++;
    node.name = view.name;
    node.op_type = view.op_type;
    node.inputs.assign(view.inputs.begin(), view.inputs.end());
    node.outputs.assign(view.outputs.begin(), view.outputs.end());
    return visit(node);
  });
}

Result<void> rewrite_model(const std::string& from, const std::string& to, const Edit& edit) {
  TRY(DraftFile draft, DraftFile::create(to));
  auto done = rewrite(from, draft, edit);
  // What the system refused is named already, and may be `to`.
  if (!done && done.error().code != Errc::io) return within(from, std::move(done).error());
  TRY_VOID(std::move(done));
  return draft.commit();
}

}  // namespace dermlens::onnx
