// ONNX's node tests through the engine: kernels, planner and session give what the standard says.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "exec/program.h"
#include "golden/onnx_nodes.h"
#include "graph/passes.h"

namespace dermlens::golden {
namespace {

constexpr std::size_t kLeastPassed = 200;

graph::Tensor tensor_of(const graph::TensorType& type, std::span<const float> values) {
  graph::Tensor tensor{type, {}, {}};
  if (graph::is_float(type.dtype)) {
    tensor.reals.assign(values.begin(), values.end());
  } else {
    std::ranges::transform(values, std::back_inserter(tensor.integers),
                           [](float value) { return static_cast<std::int64_t>(value); });
  }
  return tensor;
}

Result<std::vector<graph::Tensor>> by_engine(const graph::Graph& graph,
                                             std::span<const graph::Tensor> inputs) {
  Ledger ledger(Bytes{1} << 30);
  graph::Graph simplified = graph;
  TRY_VOID(graph::simplify(simplified));
  exec::ProgramOptions options;
  options.placement = plan::Placement::resident;
  TRY(auto program, exec::Program::load(std::move(simplified), options, ledger));
  TRY(auto session, exec::Session::open(program, ledger));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    std::ranges::transform(inputs[i].reals, session->input(i).begin(),
                           [](double value) { return static_cast<float>(value); });
  TRY_VOID(session->forward());
  std::vector<graph::Tensor> outputs;
  for (std::size_t i = 0; i < program->outputs().size(); ++i)
    outputs.push_back(tensor_of(program->outputs()[i].type, session->output(i)));
  return outputs;
}

TEST(OnnxNodes, TheEngineComputesWhatOnnxSays) {
  const auto tests = find_node_tests();
  if (tests.empty())
    GTEST_SKIP() << "no node tests (install libonnx-testdata or set DERMLENS_ONNX_NODE_TESTS)";
  const Summary summary = run_node_tests(tests, by_engine, Binding::where_needed);
  std::cout << to_string(summary);
  for (const auto& [test, reason] : summary.failed) ADD_FAILURE() << test << ": " << reason;
  EXPECT_GE(summary.passed, kLeastPassed);
}

}  // namespace
}  // namespace dermlens::golden
