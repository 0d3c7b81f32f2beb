// dermlens run: raw tensors in, raw tensors out, any value of the graph.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <filesystem>
#include <iostream>
#include <set>

#include "cli/commands.h"
#include "cli/tensors.h"
#include "cli/write_file.h"
#include "graph/passes.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string model, folder;
  std::vector<std::string> inputs, outputs;
};

// NAME.npy with characters outside [A-Za-z0-9_.-] turned into '_'.
std::string file_name(const std::string& value_name) {
  std::string name = value_name.substr(0, 200);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.' && c != '-') c = '_';
  return name + ".npy";
}

// Two values whose names differ only in such characters would overwrite each other.
Result<void> check_names(const std::vector<std::string>& names) {
  std::set<std::string> files;
  for (const std::string& name : names)
    if (!files.insert(file_name(name)).second)
      return fail(Errc::usage, "two outputs would be the same file ('", file_name(name), "')");
  return {};
}

Result<std::string> write_output(const std::string& folder, const std::string& name,
                                 const graph::TensorType& type, std::span<const float> values) {
  TRY(const std::string bytes, format_npy(type.shape, values));
  std::string path = (std::filesystem::path(folder) / file_name(name)).string();
  TRY_VOID(write_file(path, bytes));
  return path;
}

Result<int> run(const CommonOptions& common, const Options& options) {
  TRY(const Tensors tensors, read_tensors(options.inputs));
  TRY(Budget budget, make_budget(common));
  TRY(onnx::Model model, read_model_for(options.model, tensors));
  std::vector<std::string> names = options.outputs;
  if (names.empty())
    for (const graph::ValueId id : model.graph.outputs())
      names.push_back(model.graph.value(id).name);
  TRY_VOID(check_names(names));
  graph::Graph graph = model.graph;
  std::vector<graph::ValueId> values;
  for (const std::string& name : names) {
    TRY(const graph::ValueId value, value_named(model, name));
    values.push_back(value);
  }
  graph.replace_outputs({});
  for (const graph::ValueId value : values) graph.add_output(value);
  TRY_VOID(graph::simplify(graph));
  TRY(const Running running, start(std::move(graph), common, model, tensors, *budget.ledger));
  TRY_VOID(running.session->forward());

  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  json::array written;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = model.graph.value(values[i]).name;
    const auto index = running.program->find_output(name);
    if (!index) return fail(Errc::internal, "the program lost its output '", name, "'");
    const graph::TensorType& type = running.program->outputs()[*index].type;
    TRY(const std::string path,
        write_output(options.folder, names[i], type, running.session->output(*index)));
    written.push_back(json::object{{"name", names[i]},
                                   {"shape", json::array(type.shape.begin(), type.shape.end())},
                                   {"path", path}});
    if (!common.json)
      std::cout << printable(names[i]) << " " << to_string(type) << " -> " << printable(path)
                << '\n';
  }
  if (common.json) std::cout << json::serialize(json::object{{"outputs", written}}) << '\n';
  return kDone;
}

}  // namespace

void add_run(Application& application) {
  CLI::App* command =
      application.command("run", "Raw tensors in, raw tensors out",
                          "dermlens run model.onnx --input image=a.npy --output logits -o results");
  auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "The model (ONNX)")->required();
  command->add_option("--input", options->inputs, "NAME=file.npy, for each input of the model");
  command->add_option("--output", options->outputs,
                      "Values to write, by name (default: the model's outputs)");
  command->add_option("-o,--output-dir", options->folder, "The folder to write NAME.npy into")
      ->required();
  add_common_options(*command, application.common, false);
  add_json_option(*command, application.common);
  on_run(application, *command, options, run);
}

}  // namespace dermlens::cli
