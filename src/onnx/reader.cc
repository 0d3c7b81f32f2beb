// From the model's outer message to its graph: opsets, inputs, initializers, nodes in order, and
// outputs. The operators themselves are in import_*.cc.
#include "onnx/reader.h"

#include <algorithm>
#include <filesystem>

#include "onnx/node_import.h"
#include "onnx/pages_behind.h"

namespace dermlens::onnx {
namespace {

using graph::DType;
using graph::Shape;
using graph::ValueId;

bool is_default_domain(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

Result<std::int64_t> default_opset(const ModelView& model) {
  std::optional<std::int64_t> version;
  for (const OpsetView& opset : model.opsets)
    if (is_default_domain(opset.domain)) version = opset.version;
  if (!version) return fail(Errc::unsupported, "a model without an opset of the default domain");
  if (*version < kMinOpset || *version > kMaxOpset)
    return fail(Errc::unsupported, "opset ", *version, " (", kMinOpset, " to ", kMaxOpset,
                " are supported)");
  return *version;
}

Bytes metadata_bytes(const Model& model) {
  constexpr Bytes kEntry = 128;
  Bytes bytes = 0;
  for (const auto& [key, value] : model.metadata) bytes += key.size() + value.size() + kEntry;
  return bytes;
}

class Importer {
 public:
  Importer(Model& model, const ReadOptions& options, TensorReader& tensors, const MappedFile* file)
      : model_(model), options_(options), tensors_(tensors), scope_(model.graph), pages_(file) {}

  Result<void> run(ByteView bytes) {
    TRY_VOID(check_room());
    TRY(const GraphView graph,
        parse_graph(bytes, [&](ByteView message) { return initializer(message); }));
    for (const ValueInfoView& input : graph.inputs) TRY_VOID(add_input(input));
    TRY_VOID(check_options(graph));
    TRY_VOID(for_each_node(graph, [&](ByteView message) { return add_node(message); }));
    for (const ValueInfoView& output : graph.outputs) TRY_VOID(add_output(output));
    if (graph.outputs.empty()) return fail(Errc::malformed, "the graph has no outputs");
    if (model_.graph.outputs().empty())
      return tl::make_unexpected(*scope_.why_missing(model_.outputs.front()));
    model_.aliases = scope_.aliases();
    model_.unsupported = scope_.missing();
    return {};
  }

 private:
  Result<void> initializer(ByteView message);
  Result<void> add_input(const ValueInfoView& input);
  Result<bool> bind_input(const ValueInfoView& input);
  Result<Shape> bound_shape(const ValueInfoView& input, std::size_t values) const;
  Result<Shape> input_shape(const ValueInfoView& input) const;
  Result<void> check_options(const GraphView& graph) const;
  Result<void> add_node(ByteView message);
  Result<void> import_node(const NodeView& view);
  Result<void> check_room();
  void leave_out(const NodeView& view, Error error);
  Result<void> add_output(const ValueInfoView& output);

  Model& model_;
  const ReadOptions& options_;
  TensorReader& tensors_;
  Scope scope_;
  PagesBehind pages_;
  std::size_t node_index_ = 0, operands_ = 0;
};

Result<void> Importer::initializer(ByteView message) {
  TRY(const TensorView view, parse_tensor(message));
  auto constant = tensors_.read(view);
  if (!constant) {
    return within("initializer '" + std::string(view.name) + "'", std::move(constant).error());
  }
  if (!constant->type.shape.empty()) model_.parameters += constant->type.elements();
  TRY(const ValueId value, scope_.add_constant(view.name, std::move(*constant)));
  TRY_VOID(scope_.define(view.name, value));
  pages_.passed(message);
  return {};
}

// Known dimensions must agree with the caller's; without them, only the first may be unknown.
Result<Shape> Importer::input_shape(const ValueInfoView& input) const {
  const auto given = options_.input_shapes.find(std::string(input.name));
  if (given != options_.input_shapes.end()) {
    const Shape& shape = given->second;
    bool fits = !input.has_shape || shape.size() == input.dims.size();
    for (std::size_t i = 0; fits && input.has_shape && i < shape.size(); ++i)
      fits = shape[i] >= 0 && (input.dims[i] < 0 || input.dims[i] == shape[i]);
    if (!fits)
      return fail(Errc::usage, "input '", input.name, "' is ", graph::to_string(input.dims),
                  " in the model (-1: any), but ", graph::to_string(shape), " was asked for");
    return shape;
  }
  if (!input.has_shape)
    return fail(Errc::unsupported, "input '", input.name, "' has no shape; give it one");
  Shape shape = input.dims;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0 && i > 0)
      return fail(Errc::unsupported, "input '", input.name, "' has no number for dimension ", i,
                  " of ", graph::to_string(shape), "; give its shape");
    if (shape[i] < 0) shape[i] = 1;
  }
  return shape;
}

// A dimension without a number is that of the values, in a vector; elsewhere it must have one.
Result<Shape> Importer::bound_shape(const ValueInfoView& input, std::size_t values) const {
  Shape shape = input.dims;
  const auto length = static_cast<std::int64_t>(values);
  if (!input.has_shape || (shape.size() == 1 && shape[0] < 0)) shape = {length};
  TRY(const Bytes elements, graph::count(shape));
  if (elements != values)
    return fail(Errc::usage, "input '", input.name, "' takes another number of values (", values,
                ", ", graph::to_string(shape), ")");
  return shape;
}

// Whether the options gave the input a value.
Result<bool> Importer::bind_input(const ValueInfoView& input) {
  const std::string name(input.name);
  const auto integers = options_.bound_inputs.find(name);
  const auto numbers = options_.bound_numbers.find(name);
  const bool has_integers = integers != options_.bound_inputs.end();
  if (!has_integers && numbers == options_.bound_numbers.end()) return false;
  TRY(const DType type, stored_type(input.data_type));
  if (graph::is_float(type) == has_integers)
    return fail(Errc::usage, "input '", input.name, "' is of ", graph::to_string(type),
                has_integers ? ", not of integers" : ", not of a floating type");
  TypedConstant constant;
  if (has_integers) {
    TRY(Shape shape, bound_shape(input, integers->second.size()));
    TRY_VOID(check_integers(type, integers->second));
    constant = own_integers(type, std::move(shape), integers->second);
  } else {
    TRY(Shape shape, bound_shape(input, numbers->second.size()));
    constant = own_floats(std::move(shape), numbers->second);
  }
  TRY(const ValueId value, scope_.add_constant(input.name, std::move(constant)));
  TRY_VOID(scope_.define(input.name, value));
  return true;
}

Result<void> Importer::add_input(const ValueInfoView& input) {
  TRY(const bool bound, bind_input(input));
  if (bound) return {};
  // Up to IR 3 initializers were inputs too, as defaults that may be overridden; we never do.
  if (scope_.contains(input.name)) return {};
  auto type = stored_type(input.data_type);
  if (!type) return within("input '" + std::string(input.name) + "'", std::move(type).error());
  TRY(Shape shape, input_shape(input));
  TRY(const ValueId value,
      model_.graph.add_input(input.name, {logical_type(*type), std::move(shape)}));
  return scope_.define(input.name, value);
}

Result<void> Importer::check_options(const GraphView& graph) const {
  const auto known = [&](const std::string& name) {
    return std::ranges::find(graph.inputs, name, &ValueInfoView::name) != graph.inputs.end();
  };
  for (const auto& [name, shape] : options_.input_shapes)
    if (!known(name)) return fail(Errc::usage, "the model has no input '", name, "'");
  for (const auto& [name, values] : options_.bound_inputs)
    if (!known(name)) return fail(Errc::usage, "the model has no input '", name, "'");
  for (const auto& [name, values] : options_.bound_numbers)
    if (!known(name)) return fail(Errc::usage, "the model has no input '", name, "'");
  return {};
}

Result<void> Importer::import_node(const NodeView& view) {
  if (!is_default_domain(view.domain))
    return fail(Errc::unsupported, "operators of domain '", view.domain, "' are not supported");
  const Handler* handler = find_handler(view.op_type);
  if (!handler) return fail(Errc::unsupported, "the operator is not supported");
  if (model_.opset < handler->since)
    return fail(Errc::unsupported, "the operator is supported from opset ", handler->since, " on");
  NodeImport node(scope_, tensors_, view, model_.opset);
  TRY_VOID(handler->import(node));
  return node.check_attributes();
}

Result<void> Importer::check_room() {
  const std::size_t values = model_.graph.value_count();
  if (values > Limits::values)
    return fail(Errc::too_large, "values (", values, ", ", Limits::values, ")");
  constexpr Bytes kValue = 1024, kOperand = 16;  // names and all; 600 B a node were measured
  model_.memory =
      metadata_bytes(model_) + values * kValue + operands_ * kOperand + scope_.owned_bytes();
  if (model_.memory <= options_.most_bytes) return {};
  auto error = fail(Errc::over_limit, "the model's graph does not fit (", values, " values need ",
                    model_.memory, " B and more, ", options_.most_bytes, " B are free)");
  error.value().needed = model_.memory;
  error.value().available = options_.most_bytes;
  return error;
}

// What the node would have made is missing, for the first cause there was.
void Importer::leave_out(const NodeView& view, Error error) {
  std::shared_ptr<const Error> why;
  for (const std::string_view input : view.inputs)
    if (!why) why = scope_.why_missing(input);
  if (!why) why = std::make_shared<const Error>(std::move(error));
  for (const std::string_view output : view.outputs) scope_.define_missing(output, why);
}

Result<void> Importer::add_node(ByteView message) {
  const std::size_t index = node_index_++;
  TRY(const NodeView view, parse_node(message));
  ++model_.operators[std::string(view.op_type)];
  operands_ += view.inputs.size() + view.outputs.size();
  auto done = import_node(view);
  TRY_VOID(check_room());
  if (done) return {};
  std::string name(view.name);
  if (name.empty() && !view.outputs.empty()) name = view.outputs.front();
  if (name.empty()) name = "#" + std::to_string(index);
  auto error = within("node '" + name + "' (" + std::string(view.op_type) + ", opset " +
                          std::to_string(model_.opset) + ")",
                      std::move(done).error());
  if (error.value().code != Errc::unsupported) return error;
  leave_out(view, std::move(error.value()));
  return {};
}

Result<void> Importer::add_output(const ValueInfoView& output) {
  model_.outputs.emplace_back(output.name);
  if (scope_.why_missing(output.name)) return {};
  auto value = scope_.lookup(output.name);
  if (!value) return within("graph output", std::move(value).error());
  graph::Graph& graph = model_.graph;
  // An output that is another name of a value gives that value its name: callers see it. Inputs
  // and earlier outputs keep theirs.
  const bool taken = graph.is_output(*value) || graph.is_constant(*value) ||
                     graph.value(*value).producer == graph::kNoNode;
  if (!taken && !graph.find(output.name)) graph.rename(*value, output.name);
  graph.add_output(*value);
  return {};
}

std::string producer_of(const ModelView& view) {
  std::string producer(view.producer_name);
  if (!view.producer_version.empty()) producer += " " + std::string(view.producer_version);
  return producer;
}

Result<Model> read_bytes(ByteView bytes, TensorReader tensors, const ReadOptions& options,
                         std::shared_ptr<const MappedFile> file) {
  TRY(const ModelView view, parse_model(bytes));
  Model model;
  TRY(model.opset, default_opset(view));
  model.ir_version = view.ir_version;
  model.model_version = view.model_version;
  model.producer = producer_of(view);
  for (const MetadataView& entry : view.metadata)
    model.metadata.insert_or_assign(std::string(entry.key), std::string(entry.value));
  TRY_VOID(Importer(model, options, tensors, file.get()).run(view.graph));
  if (file) model.files.push_back(std::move(file));
  model.files.insert(model.files.end(), tensors.files().begin(), tensors.files().end());
  if (model.damaged()) return fail(Errc::corrupt, "the model's file changed while it was read");
  return model;
}

}  // namespace

bool Model::damaged() const {
  return std::ranges::any_of(files, [](const auto& file) { return file->damaged(); });
}

Result<Model> read_model(const std::string& path, const ReadOptions& options) {
  TRY(auto file, MappedFile::open(path));
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  auto model = read_bytes(file->bytes(), TensorReader(file, std::move(folder)), options, file);
  // A file cut off while it was read looks malformed; the cause is the better answer.
  if (file->damaged()) return fail(Errc::corrupt, "'", path, "' changed while it was read");
  if (!model) return within(path, std::move(model).error());
  model->path = path;
  return model;
}

Result<Model> read_model_from_bytes(ByteView bytes, std::shared_ptr<const void> owner,
                                    const ReadOptions& options) {
  return read_bytes(bytes, TensorReader(std::move(owner), {}), options, nullptr);
}

Result<ValueId> find_value(const Model& model, std::string_view name) {
  if (const auto missing = model.unsupported.find(std::string(name));
      missing != model.unsupported.end())
    return tl::make_unexpected(*missing->second);
  if (const auto alias = model.aliases.find(std::string(name)); alias != model.aliases.end())
    return alias->second;
  if (const auto value = model.graph.find(name)) return *value;
  return fail(Errc::not_found, "the model has no value '", name, "'");
}

}  // namespace dermlens::onnx
