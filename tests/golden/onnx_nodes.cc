// Finding, running and comparing ONNX's node tests.
#include "golden/onnx_nodes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "onnx/reader.h"
#include "onnx/tensors.h"

namespace dermlens::golden {
namespace {

namespace fs = std::filesystem;
using graph::Tensor;

constexpr std::string_view kDebianFolder =
    "/usr/lib/python3/dist-packages/onnx/backend/test/data/node";

// The name of a tensor file's tensor, and its value.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

Result<NamedTensor> read_tensor(const fs::path& path) {
  TRY(const auto file, MappedFile::open(path.string()));
  TRY(const onnx::TensorView view, onnx::parse_tensor(file->bytes()));
  onnx::TensorReader reader(file, {});
  TRY(onnx::TypedConstant constant, reader.read(view));
  graph::Value value;
  value.type = std::move(constant.type);
  value.constant = std::move(constant.constant);
  return NamedTensor{std::string(view.name), graph::tensor_of(value)};
}

Result<std::vector<NamedTensor>> read_tensors(const fs::path& folder, const std::string& stem) {
  std::vector<NamedTensor> tensors;
  for (int i = 0;; ++i) {
    const fs::path path = folder / (stem + "_" + std::to_string(i) + ".pb");
    if (!fs::exists(path)) return tensors;
    TRY(tensors.emplace_back(), read_tensor(path));
  }
}

void bind(const NamedTensor& input, onnx::ReadOptions& options) {
  if (graph::is_float(input.tensor.type.dtype))
    options.bound_numbers[input.name] = {input.tensor.reals.begin(), input.tensor.reals.end()};
  else
    options.bound_inputs[input.name] = input.tensor.integers;
}

Result<onnx::Model> read_bound(const std::string& folder, const std::vector<NamedTensor>& inputs,
                               Binding binding) {
  onnx::ReadOptions options;
  const std::string path = folder + "/model.onnx";
  for (const NamedTensor& input : inputs)
    options.input_shapes[input.name] = input.tensor.type.shape;
  auto model = onnx::read_model(path, options);
  const bool needed = !model && model.error().code == Errc::unsupported &&
                      (model.error().message.find("only known at run time") != std::string::npos ||
                       model.error().message.find("no constant") != std::string::npos);
  if (!needed && (!model || binding == Binding::where_needed)) return model;
  for (std::size_t i = 1; i < inputs.size(); ++i) bind(inputs[i], options);
  auto bound = onnx::read_model(path, options);
  if (bound || inputs.empty()) return bound;
  // Where the first input decides a shape as well, all of them are constants.
  bind(inputs[0], options);
  return onnx::read_model(path, options);
}

bool is_close(double a, double b, double relative, double absolute) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::abs(a - b) <= absolute + relative * std::abs(b);
}

std::string compare(const Tensor& actual, const Tensor& expected, const std::string& name) {
  if (actual.type != expected.type)
    return "type " + to_string(actual.type) + " is not " + to_string(expected.type);
  // A quantized result may fall on the other side of a tie.
  const bool ties = name.find("qlinear") != std::string::npos ||
                    name.find("dynamicquantize") != std::string::npos;
  // Values of 16 bits are computed in 32: what the file rounds, we do not.
  const bool narrow = name.find("FLOAT16") != std::string::npos;
  const double relative = name.find("BFLOAT16") != std::string::npos ? 1e-2 : narrow ? 1e-3 : 1e-4;
  for (std::size_t i = 0; i < expected.integers.size(); ++i)
    if (std::abs(actual.integers[i] - expected.integers[i]) > (ties ? 1 : 0))
      return "element " + std::to_string(i) + ": " + std::to_string(actual.integers[i]) +
             " is not " + std::to_string(expected.integers[i]);
  for (std::size_t i = 0; i < expected.reals.size(); ++i)
    if (!is_close(actual.reals[i], expected.reals[i], relative, 1e-5))
      return "element " + std::to_string(i) + ": " + std::to_string(actual.reals[i]) + " is not " +
             std::to_string(expected.reals[i]);
  return {};
}

// Refusals differ in the place they name; the reason is what they have in common.
std::string reason_of(const Error& error) {
  std::string text = error.message;
  for (const std::string_view end : {"model.onnx: ", "): "})
    if (const auto place = text.find(end); place != std::string::npos)
      text = text.substr(place + end.size());
  return std::string(to_string(error.code)) + ": " + text;
}

Outcome skipped(std::string reason) { return {Outcome::Kind::skipped, std::move(reason)}; }
Outcome failed(std::string reason) { return {Outcome::Kind::failed, std::move(reason)}; }

std::vector<std::string> data_folders() {
  std::vector<std::string> folders;
  const char* given = std::getenv("DERMLENS_ONNX_NODE_TESTS");
  std::stringstream list(given ? given : std::string(kDebianFolder));
  for (std::string folder; std::getline(list, folder, ':');)
    if (fs::is_directory(folder)) folders.push_back(folder);
  return folders;
}

Outcome run_in_folder(const NodeTest& test, const std::string& folder, const Evaluate& evaluate,
                      Binding binding) {
  const fs::path data = fs::path(folder) / "test_data_set_0";
  auto inputs = read_tensors(data, "input");
  if (!inputs) return skipped("input is no tensor we read: " + inputs.error().message);
  const auto expected = read_tensors(data, "output");
  if (!expected) return skipped("output is no tensor we read: " + expected.error().message);
  auto model = read_bound(folder, *inputs, binding);
  if (!model) {
    if (model.error().code == Errc::unsupported) return skipped(reason_of(model.error()));
    return failed(reason_of(model.error()));
  }
  if (const auto sound = graph::verify(model->graph); !sound) return failed(sound.error().message);
  std::vector<Tensor> arguments;
  for (const graph::Input& input : model->graph.inputs()) {
    const std::string& name = model->graph.value(input.value).name;
    const auto found = std::ranges::find(*inputs, name, &NamedTensor::name);
    if (found == inputs->end()) return failed("no value for input '" + name + "'");
    arguments.push_back(found->tensor);
  }
  const auto outputs = evaluate(model->graph, arguments);
  if (!outputs) {
    if (outputs.error().code == Errc::unsupported) return skipped(reason_of(outputs.error()));
    return failed(reason_of(outputs.error()));
  }
  for (const NamedTensor& wanted : *expected) {
    const auto value = onnx::find_value(*model, wanted.name);
    if (!value && value.error().code == Errc::unsupported) return skipped(reason_of(value.error()));
    if (!value) return failed(value.error().message);
    const auto place = std::ranges::find(model->graph.outputs(), *value);
    if (place == model->graph.outputs().end()) return failed("'" + wanted.name + "' is no output");
    const auto index = static_cast<std::size_t>(place - model->graph.outputs().begin());
    const std::string difference = compare((*outputs)[index], wanted.tensor, test.name);
    if (!difference.empty()) return failed("output '" + wanted.name + "', " + difference);
  }
  return {};
}

}  // namespace

std::vector<NodeTest> find_node_tests() {
  std::map<std::string, NodeTest> tests;
  for (const std::string& folder : data_folders())
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!fs::exists(entry.path() / "model.onnx")) continue;
      const std::string name = entry.path().filename().string();
      NodeTest& test = tests[name];
      test.name = name;
      test.folders.push_back(entry.path().string());
    }
  std::vector<NodeTest> sorted;
  for (auto& [name, test] : tests) sorted.push_back(std::move(test));
  return sorted;
}

Outcome run_node_test(const NodeTest& test, const Evaluate& evaluate, Binding binding) {
  Outcome outcome = skipped("no folder");
  for (const std::string& folder : test.folders) {
    outcome = run_in_folder(test, folder, evaluate, binding);
    if (outcome.kind != Outcome::Kind::skipped) break;
  }
  return outcome;
}

Summary run_node_tests(const std::vector<NodeTest>& tests, const Evaluate& evaluate,
                       Binding binding) {
  Summary summary;
  for (const NodeTest& test : tests) {
    Outcome outcome = run_node_test(test, evaluate, binding);
    switch (outcome.kind) {
      case Outcome::Kind::passed:
        ++summary.passed;
        break;
      case Outcome::Kind::skipped:
        summary.skipped[outcome.reason].push_back(test.name);
        break;
      case Outcome::Kind::failed:
        summary.failed[test.name] = outcome.reason;
        break;
    }
  }
  return summary;
}

std::string to_string(const Summary& summary) {
  std::ostringstream text;
  std::size_t count = 0;
  for (const auto& [reason, tests] : summary.skipped) count += tests.size();
  text << summary.passed << " passed, " << count << " skipped, " << summary.failed.size()
       << " failed\n";
  for (const auto& [reason, tests] : summary.skipped) {
    text << "skipped, " << reason << ":";
    for (const std::string& test : tests) text << " " << test;
    text << "\n";
  }
  return text.str();
}

}  // namespace dermlens::golden
