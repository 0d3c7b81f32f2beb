#include "property/kernels/engine.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "exec/program.h"

namespace dermlens {

using graph::Graph;
using graph::Tensor;
using graph::ValueId;

namespace {

void fill(exec::Session& session, const exec::Program& program, const std::string& name,
          const Tensor& tensor) {
  const auto index = program.find_input(name);
  if (!index) return;  // nothing depends on it
  std::ranges::transform(tensor.reals, session.input(*index).begin(),
                         [](double number) { return static_cast<float>(number); });
}

}  // namespace

std::vector<Tensor> run_engine(const Graph& graph, const std::vector<Tensor>& inputs) {
  using graph::testing::must;
  Graph prepared = graph;
  const Result<void> simplified = graph::simplify(prepared);
  EXPECT_TRUE(simplified.has_value()) << simplified.error().message;
  Ledger ledger(Bytes{1} << 30);
  exec::ProgramOptions options;
  options.placement = plan::Placement::resident;
  const auto program = must(exec::Program::load(std::move(prepared), options, ledger));
  const auto session = must(exec::Session::open(program, ledger));
  const auto fill_all = [&](bool late) {
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (graph.inputs()[i].late == late)
        fill(*session, *program, graph.value(graph.inputs()[i].value).name, inputs[i]);
  };
  fill_all(false);
  EXPECT_TRUE(session->forward().has_value());
  fill_all(true);
  EXPECT_TRUE(session->backward().has_value());
  std::vector<Tensor> results;
  for (const ValueId output : graph.outputs()) {
    const auto index = program->find_output(graph.value(output).name);
    EXPECT_TRUE(index.has_value());
    const auto values = session->output(*index);
    results.push_back({graph.value(output).type, {values.begin(), values.end()}, {}});
  }
  return results;
}

}  // namespace dermlens
