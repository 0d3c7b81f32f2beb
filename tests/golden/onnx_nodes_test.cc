// ONNX's node tests through the reference evaluator: the reader gives every operator the meaning
// that the standard gives it.
#include "golden/onnx_nodes.h"

#include <gtest/gtest.h>

#include <iostream>

namespace dermlens::golden {
namespace {

constexpr std::size_t kLeastPassed = 200;

Result<std::vector<graph::Tensor>> by_reference(const graph::Graph& graph,
                                                std::span<const graph::Tensor> inputs) {
  return graph::evaluate(graph, inputs, graph.outputs());
}

TEST(OnnxNodes, EverySupportedOperatorComputesWhatOnnxSays) {
  const auto tests = find_node_tests();
  if (tests.empty())
    GTEST_SKIP() << "no node tests (install libonnx-testdata or set DERMLENS_ONNX_NODE_TESTS)";
  const Summary summary = run_node_tests(tests, by_reference, Binding::where_needed);
  std::cout << to_string(summary);
  for (const auto& [test, reason] : summary.failed) ADD_FAILURE() << test << ": " << reason;
  EXPECT_GE(summary.passed, kLeastPassed);
}

TEST(OnnxNodes, ConstantArgumentsMeanTheSameAsInputs) {
  const auto tests = find_node_tests();
  if (tests.empty())
    GTEST_SKIP() << "no node tests (install libonnx-testdata or set DERMLENS_ONNX_NODE_TESTS)";
  const Summary summary = run_node_tests(tests, by_reference, Binding::all_but_first);
  for (const auto& [test, reason] : summary.failed) ADD_FAILURE() << test << ": " << reason;
  EXPECT_GE(summary.passed, kLeastPassed);
}

}  // namespace
}  // namespace dermlens::golden
