#include "cli/tensors.h"

#include <algorithm>

#include "graph/passes.h"

namespace dermlens::cli {
namespace {

constexpr std::size_t kPieceElements = 8 * 1024;

bool is_integer(NpyType type) { return type != NpyType::f32 && type != NpyType::f64; }

// Copies the file's elements, converted a piece at a time, without mapping them.
template <class Number>
Result<void> copy(const TensorFile& tensor, std::span<Number> values) {
  const Bytes size = size_of(tensor.header.type);
  std::size_t offset = tensor.header.data_begin;
  std::vector<std::byte> piece(std::min(values.size(), kPieceElements) * size);
  while (!values.empty()) {
    const std::size_t count = std::min(values.size(), kPieceElements);
    const std::span<std::byte> bytes(piece.data(), count * size);
    tensor.file->read(offset, bytes);
    convert_npy(tensor.header.type, bytes, values.first(count));
    offset += bytes.size();
    values = values.subspan(count);
  }
  if (tensor.file->damaged())
    return fail(Errc::corrupt, "file changed while it was read (", tensor.file->path(), ")");
  return {};
}

Result<void> fill(const Running& running, const Tensors& tensors) {
  const auto inputs = running.program->inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].late) continue;
    const auto given = tensors.find(inputs[i].name);
    if (given == tensors.end())
      return fail(Errc::usage, "no tensor for input '", inputs[i].name, "' (--input ",
                  inputs[i].name, "=file.npy)");
    const std::span<float> values = running.session->input(i);
    const std::size_t elements = given->second.header.elements();
    if (elements != values.size())
      return fail(Errc::usage, "the tensor for input '", inputs[i].name, "' has ", elements,
                  " elements (", to_string(inputs[i].type), " is expected)");
    TRY_VOID(copy(given->second, values));
  }
  return {};
}

}  // namespace

Result<Tensors> read_tensors(const std::vector<std::string>& pairs) {
  Tensors tensors;
  for (const std::string& pair : pairs) {
    // The file's name is less likely to hold a '=' than a value's.
    const std::size_t split = pair.rfind('=');
    if (split == std::string::npos || split == 0 || split + 1 == pair.size())
      return fail(Errc::usage, "not NAME=file.npy: '", pair, "' (--input)");
    std::string name = pair.substr(0, split);
    TensorFile tensor;
    TRY(tensor.file, MappedFile::open(pair.substr(split + 1)));
    auto header = read_npy_header(tensor.file->bytes());
    if (!header) return within(tensor.file->path(), std::move(header).error());
    tensor.header = std::move(*header);
    if (!tensors.emplace(name, std::move(tensor)).second)
      return fail(Errc::usage, "input '", name, "' is given twice (--input)");
  }
  return tensors;
}

Result<BoundModel> read_model_for(const std::string& path, const Tensors& tensors, Ledger& ledger) {
  Bytes bound = 0;
  for (const auto& [name, tensor] : tensors)
    if (is_integer(tensor.header.type)) bound += tensor.header.elements() * sizeof(std::int64_t);
  // Here, and again in the graph.
  BoundModel result;
  TRY(result.bound, ledger.reserve(Category::weights, 2 * bound));
  onnx::ReadOptions options;
  options.most_bytes = ledger.available();
  for (const auto& [name, tensor] : tensors) {
    if (is_integer(tensor.header.type)) {
      std::vector<std::int64_t>& values = options.bound_inputs[name];
      values.resize(tensor.header.elements());
      TRY_VOID(copy(tensor, std::span(values)));
    } else {
      options.input_shapes[name] = tensor.header.shape;
    }
  }
  TRY(result.model, onnx::read_model(path, options));
  TRY_VOID(result.bound.resize(bound));
  return result;
}

Result<graph::ValueId> value_named(const onnx::Model& model, const std::string& name) {
  auto value = onnx::find_value(model, name);
  if (!value && value.error().code == Errc::not_found)
    return fail(Errc::usage, value.error().message);
  return value;
}

Result<Running> start(graph::Graph graph, const CommonOptions& common, const onnx::Model& model,
                      const Tensors& tensors, Ledger& ledger) {
  TRY(const diagnose::LoadOptions load, load_options(common));
  exec::ProgramOptions options;
  options.placement = load.placement;
  options.threads = load.threads;
  // A graph that is run once with outputs of its own: its pack would serve nobody else.
  options.cache_dir = common.cache_dir.empty() ? "" : load.cache_dir;
  options.files = model.files;
  Running running;
  TRY(running.program, exec::Program::load(std::move(graph), options, ledger));
  TRY(running.session, exec::Session::open(running.program, ledger));
  TRY_VOID(fill(running, tensors));
  return running;
}

}  // namespace dermlens::cli
