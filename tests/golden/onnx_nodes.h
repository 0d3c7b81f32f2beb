// ONNX's own operator tests (backend/test/data/node): a model of one node, inputs, and what comes
// out. Whoever can evaluate a graph can be driven through them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "graph/reference.h"

namespace dermlens::golden {

struct NodeTest {
  std::string name;
  std::vector<std::string> folders;  // where it lies; each with the model of another opset
};

// The tests of every folder of data there is: DERMLENS_ONNX_NODE_TESTS (colon-separated), else
// Debian's libonnx-testdata. Sorted by name.
std::vector<NodeTest> find_node_tests();

// Returns the graph's outputs, in order. `inputs` in the order of graph.inputs().
using Evaluate = std::function<Result<std::vector<graph::Tensor>>(
    const graph::Graph& graph, std::span<const graph::Tensor> inputs)>;

// Which inputs become constants: those that must be (axes, shapes, pads), or all but the first.
enum class Binding { where_needed, all_but_first };

struct Outcome {
  enum class Kind { passed, skipped, failed } kind = Kind::passed;
  std::string reason;
};
// Goes through the test's folders until one is not skipped.
Outcome run_node_test(const NodeTest& test, const Evaluate& evaluate, Binding binding);

struct Summary {
  std::size_t passed = 0;
  std::map<std::string, std::vector<std::string>> skipped;  // reason -> tests
  std::map<std::string, std::string> failed;                // test -> reason
};
Summary run_node_tests(const std::vector<NodeTest>& tests, const Evaluate& evaluate,
                       Binding binding);
std::string to_string(const Summary& summary);

}  // namespace dermlens::golden
