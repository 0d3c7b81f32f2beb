#include "cli/tensors.h"

#include <algorithm>

#include "graph/passes.h"

namespace dermlens::cli {
namespace {

bool is_integer(const NpyArray& array) {
  return array.type != NpyType::f32 && array.type != NpyType::f64;
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
    if (given->second.elements() != values.size())
      return fail(Errc::usage, "the tensor for input '", inputs[i].name, "' has ",
                  given->second.elements(), " elements (", to_string(inputs[i].type),
                  " is expected)");
    const std::vector<float> floats = given->second.to_floats();
    std::copy(floats.begin(), floats.end(), values.begin());
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
    TRY(NpyArray array, read_npy(pair.substr(split + 1)));
    if (!tensors.emplace(name, std::move(array)).second)
      return fail(Errc::usage, "input '", name, "' is given twice (--input)");
  }
  return tensors;
}

Result<onnx::Model> read_model_for(const std::string& path, const Tensors& tensors,
                                   Bytes most_bytes) {
  onnx::ReadOptions options;
  options.most_bytes = most_bytes;
  for (const auto& [name, array] : tensors) {
    if (is_integer(array)) {
      TRY(options.bound_inputs[name], array.to_integers());
    } else {
      options.input_shapes[name] = array.shape;
    }
  }
  return onnx::read_model(path, options);
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
