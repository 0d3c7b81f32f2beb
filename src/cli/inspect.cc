// dermlens inspect: what a model is, reads and gives, and where a heatmap can look.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <iostream>
#include <set>

#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/inspect_dot.h"
#include "cli/render.h"
#include "cli/write_file.h"
#include "diagnose/network.h"
#include "kernels/precision.h"
#include "onnx/reader.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;
using graph::Graph;
using graph::ValueId;

struct InspectOptions {
  std::string model, dot;
};

// Any model we can read, and what it is as a classifier where it is one.
struct Inspection {
  std::shared_ptr<const diagnose::Network> network;  // null: no classifier
  std::string why_not;
  std::shared_ptr<const onnx::Model> model;
  std::string weights;   // "f16, f32"
  std::string computed;  // "fp32"
};

std::string weight_types(const Graph& graph) {
  std::set<std::string> types;
  for (ValueId id = 0; id < graph.value_count(); ++id) {
    const graph::Value& value = graph.value(id);
    if (value.constant && value.type.shape.size() >= 2)
      types.emplace(to_string(value.constant->stored_as));
  }
  std::string text;
  for (const std::string& type : types) text += (text.empty() ? "" : ", ") + type;
  return text;
}

Result<Inspection> inspect_model(const std::string& path) {
  Inspection found;
  auto network = diagnose::read_network(path);
  if (network) {
    found.network = std::make_shared<const diagnose::Network>(std::move(*network));
    found.model = {found.network, &found.network->model};
  } else {
    found.why_not = network.error().message;
    TRY(onnx::Model model, onnx::read_model(path));
    found.model = std::make_shared<const onnx::Model>(std::move(model));
  }
  found.weights = weight_types(found.model->graph);
  found.computed = kernels::usual_name(kernels::precision_of(found.model->graph).computed);
  return found;
}

std::vector<ValueId> input_values(const Graph& graph) {
  std::vector<ValueId> values;
  for (const graph::Input& input : graph.inputs()) values.push_back(input.value);
  return values;
}

json::array values_to_json(const Graph& graph, std::span<const ValueId> values) {
  json::array array;
  for (const ValueId id : values) {
    const graph::Value& value = graph.value(id);
    array.push_back(
        json::object{{"name", value.name},
                     {"type", to_string(value.type.dtype)},
                     {"shape", json::array(value.type.shape.begin(), value.type.shape.end())}});
  }
  return array;
}

void print_document(const Inspection& found) {
  const onnx::Model& model = *found.model;
  json::object operators;
  for (const auto& [name, count] : model.operators) operators.emplace(name, count);
  json::object document{{"path", model.path},
                        {"producer", model.producer},
                        {"ir_version", model.ir_version},
                        {"opset", model.opset},
                        {"parameters", model.parameters},
                        {"weights", found.weights},
                        {"computed", found.computed},
                        {"inputs", values_to_json(model.graph, input_values(model.graph))},
                        {"outputs", values_to_json(model.graph, model.graph.outputs())},
                        {"operators", std::move(operators)}};
  if (found.network) {
    json::array layers;
    for (const diagnose::Layer& layer : found.network->layers.layers)
      layers.push_back(json::object{{"name", layer.name},
                                    {"operator", layer.op},
                                    {"shape", json::array(layer.shape.begin(), layer.shape.end())},
                                    {"auto", layer.is_auto},
                                    {"last_conv", layer.is_last_conv}});
    document.emplace("layers", std::move(layers));
    document.emplace("card", diagnose::to_json(found.network->card));
  } else {
    document.emplace("not_a_classifier", found.why_not);
  }
  print_json(std::cout, document);
}

void print_values(const char* what, const Graph& graph, std::span<const ValueId> values) {
  for (const ValueId id : values)
    std::cout << what << printable(graph.value(id).name) << "  " << to_string(graph.value(id).type)
              << '\n';
}

void print_card(const diagnose::Card& card) {
  const diagnose::Preprocessing& how = card.preprocessing;
  std::cout << "name          " << card.name << ", version " << card.version << '\n';
  if (!card.description.empty()) std::cout << "description   " << card.description << '\n';
  if (!card.licence.empty()) std::cout << "licence       " << card.licence << '\n';
  std::cout << "preprocessing " << how.width << " x " << how.height << ' '
            << (how.order == diagnose::ChannelOrder::rgb ? "RGB" : "BGR") << ", "
            << (how.channels_last ? "NHWC" : "NCHW") << ", " << to_string(how.filter)
            << ", (value * " << how.scale << " - [" << how.mean[0] << ", " << how.mean[1] << ", "
            << how.mean[2] << "]) / [" << how.deviation[0] << ", " << how.deviation[1] << ", "
            << how.deviation[2] << "]\n"
            << "softmax       " << (card.outputs_probabilities ? "inside" : "outside")
            << ", temperature " << card.temperature << '\n';
  if (card.gate) std::cout << "gate          energy, threshold " << card.gate->threshold << '\n';
  std::cout << "classes\n";
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < card.labels.size(); ++i) {
    const diagnose::Label& label = card.labels[i];
    rows.push_back({std::to_string(i), label.key});
    for (const char* language : {"en", "vi"})
      if (label.names.contains(language)) rows.back().push_back(label.name(language));
  }
  print_table(std::cout, rows, "  ", {0});
}

void print_layers(const diagnose::LayerMap& map) {
  std::cout << "heatmap layers (* auto)\n";
  std::vector<std::vector<std::string>> rows;
  for (const diagnose::Layer& layer : map.layers)
    rows.push_back({layer.is_auto ? "*" : "", printable(layer.name), layer.op,
                    graph::to_string(layer.shape), layer.is_last_conv ? "last_conv" : ""});
  print_table(std::cout, rows, "  ");
}

void print_human(const Inspection& found) {
  const onnx::Model& model = *found.model;
  std::cout << "file          " << printable(model.path) << '\n';
  if (found.network) print_card(found.network->card);
  std::cout << "producer      " << (model.producer.empty() ? "unknown" : printable(model.producer))
            << ", IR " << model.ir_version << ", opset " << model.opset << '\n';
  print_values("input         ", model.graph, input_values(model.graph));
  print_values("output        ", model.graph, model.graph.outputs());
  std::cout << "parameters    " << model.parameters;
  if (!found.weights.empty())
    std::cout << " (" << found.weights << "), computed here in " << found.computed;
  std::cout << "\noperators    ";
  for (const auto& [name, count] : model.operators)
    std::cout << ' ' << printable(name) << ' ' << count;
  std::cout << '\n';
  if (found.network) {
    print_layers(found.network->layers);
    std::cout << std::flush;
    print_warnings(found.network->card.warnings);
  } else {
    std::cout << std::flush;
    print_warning("no photo classifier: " + found.why_not);
  }
}

Result<int> inspect(const CommonOptions& common, const InspectOptions& options) {
  TRY(const std::string path, find_model(options.model.empty() ? common.model : options.model));
  if (!options.dot.empty()) TRY_VOID(check_writable(options.dot));
  TRY(const Inspection found, inspect_model(path));
  if (!options.dot.empty()) TRY_VOID(write_file(options.dot, to_dot(found.model->graph)));
  if (common.json)
    print_document(found);
  else
    print_human(found);
  return kDone;
}

}  // namespace

void add_inspect(Application& application) {
  CLI::App* command = application.command("inspect", "What a model is, reads and gives",
                                          "dermlens inspect model.onnx --graph model.dot");
  auto options = std::make_shared<InspectOptions>();
  command->add_option("model_file", options->model, "The model (default: as --model)");
  command->add_option("--graph", options->dot, "The graph to write, for Graphviz");
  command->add_option("--model", application.common.model, "The model (default: the shipped one)")
      ->envname("DERMLENS_MODEL");
  add_json_option(*command, application.common);
  on_run(application, *command, options, inspect);
}

}  // namespace dermlens::cli
