#include "unit/exec/fixture.h"

#include <algorithm>
#include <cmath>

#include "grad/grad.h"
#include "graph/passes.h"
#include "onnx/reader.h"

namespace dermlens::exec {

std::vector<std::string> fixture_names() {
  return {"branches",     "convnext", "dense",    "depthwise",
          "fp16_weights", "mbconv",   "residual", "shuffle"};
}

Result<Network> read_network(const std::string& name) {
  const std::string path =
      name.find('/') != std::string::npos
          ? name
          : std::string(DERMLENS_SOURCE_DIR "/tests/golden/fixtures/") + name + "/model.onnx";
  TRY(onnx::Model model, onnx::read_model(path));
  graph::Graph& graph = model.graph;
  TRY(const graph::ValueId target, onnx::find_value(model, "watch_last_conv"));
  Network network;
  network.ends.output = graph.value(graph.outputs().front()).name;
  network.ends.activation = graph.value(target).name;
  graph.add_output(target);
  TRY_VOID(graph::simplify(graph));
  const auto from = graph.find(network.ends.output), to = graph.find(network.ends.activation);
  TRY(const grad::Backward backward, grad::append_backward(graph, *from, std::span(&*to, 1)));
  network.ends.seed = graph.value(backward.seed).name;
  network.ends.gradient = graph.value(backward.gradients.front()).name;
  network.files = model.files;
  network.graph = std::move(graph);
  return network;
}

std::vector<float> some_values(std::size_t count, unsigned seed) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = std::sin(0.37F * static_cast<float>(i) + static_cast<float>(seed));
  return values;
}

Result<Outcome> run(Session& session, const Program& program, const Ends& ends, unsigned seed,
                    std::size_t of) {
  const auto output = [&](const std::string& name) {
    const std::span<const float> values = session.output(*program.find_output(name));
    return std::vector<float>(values.begin(), values.end());
  };
  const std::span<float> input = session.input(0);
  std::ranges::copy(some_values(input.size(), seed), input.begin());
  TRY_VOID(session.forward());
  Outcome outcome;
  outcome.scores = output(ends.output);
  outcome.activation = output(ends.activation);
  const std::span<float> from = session.input(*program.find_input(ends.seed));
  std::ranges::fill(from, 0.0F);
  from[of % from.size()] = 1;
  TRY_VOID(session.backward());
  outcome.gradient = output(ends.gradient);
  return outcome;
}

Result<Outcome> run_fresh(const std::string& name, const ProgramOptions& options, Ledger& ledger,
                          Arrange arrange) {
  TRY(Network network, read_network(name));
  ProgramOptions how = options;
  how.files = network.files;
  TRY(const auto program, Program::load(std::move(network.graph), how, ledger, arrange));
  TRY(const auto session, Session::open(program, ledger));
  return run(*session, *program, network.ends, 1, 0);
}

}  // namespace dermlens::exec
