// dermlens grad: the gradient of one element of a value with respect to another value.
#include "grad/grad.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <iostream>

#include "cli/commands.h"
#include "cli/npy_output.h"
#include "cli/tensors.h"
#include "cli/write_file.h"
#include "graph/passes.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct GradOptions {
  std::string model, of, at, output;
  std::vector<std::string> inputs;
};

// NAME[index]; the index may be missing where the value has one element.
struct Element {
  std::string name;
  std::optional<std::size_t> index;
};

Result<Element> parse_element(const std::string& text) {
  const std::size_t open = text.rfind('[');
  if (open == std::string::npos || open == 0 || text.back() != ']') return Element{text, {}};
  std::size_t index = 0;
  const char* last = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data() + open + 1, last, index);
  if (error != std::errc() || end != last)
    return fail(Errc::usage, "not NAME[index]: '", text, "' (--of)");
  return Element{text.substr(0, open), index};
}

Result<std::size_t> index_in(const Element& element, const graph::Value& value) {
  const Bytes elements = value.type.elements();
  if (!element.index && elements != 1)
    return fail(Errc::usage, "'", element.name, "' has ", elements, " elements; say which (--of ",
                element.name, "[0])");
  const std::size_t index = element.index.value_or(0);
  if (index >= elements)
    return fail(Errc::usage, "no such element (", index, " of '", element.name, "', which has ",
                elements, ")");
  return index;
}

Result<int> grad(const CommonOptions& common, const GradOptions& options) {
  TRY_VOID(check_writable(options.output));
  TRY(const Element element, parse_element(options.of));
  TRY(Budget budget, make_budget(common));
  TRY(const Tensors tensors, read_tensors(options.inputs));
  TRY(const BoundModel read, read_model_for(options.model, tensors, *budget.ledger));
  const onnx::Model& model = read.model;
  TRY(const graph::ValueId of, value_named(model, element.name));
  TRY(const graph::ValueId at, value_named(model, options.at));
  TRY(const std::size_t index, index_in(element, model.graph.value(of)));
  const std::string of_name = model.graph.value(of).name;

  graph::Graph graph = model.graph;
  graph.replace_outputs({});
  graph.add_output(of);
  // An input survives every pass; anything else must be asked for.
  if (graph.value(at).producer != graph::kNoNode) graph.add_output(at);
  TRY_VOID(graph::simplify(graph));
  TRY(const grad::Backward backward, grad::append_backward(graph, of, std::span(&at, 1)));
  const std::string seed_name = graph.value(backward.seed).name;
  const std::string gradient_name = graph.value(backward.gradients.at(0)).name;
  TRY(const Running running, start(std::move(graph), common, model, tensors, *budget.ledger));

  const auto seed = running.program->find_input(seed_name);
  const auto gradient = running.program->find_output(gradient_name);
  if (!gradient) return fail(Errc::internal, "the program lost its gradient");
  TRY_VOID(running.session->forward());
  if (seed) {  // a gradient that is zero everywhere needs none
    const std::span<float> values = running.session->input(*seed);
    std::fill(values.begin(), values.end(), 0.0F);
    values[index] = 1.0F;
  }
  TRY_VOID(running.session->backward());
  const graph::TensorType& type = running.program->outputs()[*gradient].type;
  TRY_VOID(write_npy(options.output, type, running.session->output(*gradient)));
  if (common.json)
    print_json(std::cout, json::object{{"of", of_name},
                                       {"index", index},
                                       {"at", options.at},
                                       {"shape", json::array(type.shape.begin(), type.shape.end())},
                                       {"path", options.output}});
  else
    std::cout << "d " << printable(of_name) << '[' << index << "] / d " << printable(options.at)
              << ' ' << to_string(type) << " -> " << printable(options.output) << '\n';
  return kDone;
}

}  // namespace

void add_grad(Application& application) {
  CLI::App* command = application.command(
      "grad", "The gradient of one element with respect to a value",
      "dermlens grad model.onnx --input image=a.npy --of 'logits[3]' --at features -o g.npy");
  auto options = std::make_shared<GradOptions>();
  command->add_option("model", options->model, "The model (ONNX)")->required();
  command->add_option("--input", options->inputs, "NAME=file.npy, for each input of the model");
  command->add_option("--of", options->of, "NAME[index]: an element, by its row-major index")
      ->required();
  command->add_option("--at", options->at, "The value to differentiate with respect to")
      ->required();
  command->add_option("-o,--output", options->output, "The gradient to write (.npy)")->required();
  add_common_options(*command, application.common, false);
  add_json_option(*command, application.common);
  on_run(application, *command, options, grad);
}

}  // namespace dermlens::cli
