// dermlens run: raw tensors in, raw tensors out, any value of the graph.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cctype>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <set>

#include "cli/commands.h"
#include "cli/npy_output.h"
#include "cli/tensors.h"
#include "graph/passes.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct RunOptions {
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

// Takes the outputs that are constant from the graph's outputs; them, by position.
std::map<std::size_t, graph::Value> take_constants(graph::Graph& graph,
                                                   const std::vector<graph::ValueId>& outputs) {
  std::map<std::size_t, graph::Value> constants;
  graph.replace_outputs({});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!graph.is_constant(outputs[i])) {
      graph.add_output(outputs[i]);
    } else {
      constants.emplace(i, graph.value(outputs[i]));
    }
  }
  return constants;
}

Result<int> run(const CommonOptions& common, const RunOptions& options) {
  TRY(Budget budget, make_budget(common));
  TRY(const Tensors tensors, read_tensors(options.inputs));
  TRY(const BoundModel read, read_model_for(options.model, tensors, *budget.ledger));
  const onnx::Model& model = read.model;
  std::vector<std::string> names = options.outputs;
  if (names.empty()) names = model.outputs;
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
  const auto constants = take_constants(graph, values);
  Running running;
  if (!graph.outputs().empty()) {
    TRY(running, start(std::move(graph), common, model, tensors, *budget.ledger));
    TRY_VOID(running.session->forward());
  }

  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  json::array written;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const graph::Value& value = model.graph.value(values[i]);
    const std::string path = (std::filesystem::path(options.folder) / file_name(names[i])).string();
    if (const auto constant = constants.find(i); constant != constants.end()) {
      TRY_VOID(write_npy(path, constant->second, *budget.ledger));
    } else {
      const auto index = running.program->find_output(value.name);
      if (!index) return fail(Errc::internal, "the program lost its output '", value.name, "'");
      TRY_VOID(write_npy(path, value.type, running.session->output(*index)));
    }
    const graph::Shape& shape = value.type.shape;
    const std::string_view type = to_string(written_as(value.type.dtype));
    written.push_back(json::object{{"name", names[i]},
                                   {"type", type},
                                   {"shape", json::array(shape.begin(), shape.end())},
                                   {"path", path}});
    if (!common.json)
      std::cout << printable(names[i]) << ' ' << type << graph::to_string(shape) << " -> "
                << printable(path) << '\n';
  }
  if (common.json) print_json(std::cout, json::object{{"outputs", written}});
  return kDone;
}

}  // namespace

void add_run(Application& application) {
  CLI::App* command =
      application.command("run", "Raw tensors in, raw tensors out",
                          "dermlens run model.onnx --input image=a.npy --output logits -o results");
  auto options = std::make_shared<RunOptions>();
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
