// Entry to the reference evaluator: tensors from constants and back, one operator, a whole graph.
#include "graph/reference.h"

#include <algorithm>
#include <cstring>

#include "graph/reference_ops.h"

namespace dermlens::graph {
namespace {

template <class Stored, class Number>
Constant store(const std::vector<Number>& numbers, DType type) {
  auto bytes = std::make_shared<std::vector<std::byte>>(numbers.size() * sizeof(Stored));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto stored = static_cast<Stored>(numbers[i]);
    std::memcpy(bytes->data() + i * sizeof stored, &stored, sizeof stored);
  }
  Constant constant;
  constant.stored_as = type;
  constant.stored = *bytes;
  constant.owner = std::move(bytes);
  return constant;
}

Result<void> expect_filled(const Tensor& tensor) {
  TRY(const Bytes elements, count(tensor.type.shape));
  const std::size_t held =
      is_float(tensor.type.dtype) ? tensor.reals.size() : tensor.integers.size();
  if (held != elements)
    return fail(Errc::malformed, "tensor does not hold its elements (", held, ", ",
                to_string(tensor.type), ")");
  return {};
}

// Runs the nodes in order; a tensor is freed behind its last reader.
class Run {
 public:
  Run(const Graph& graph, std::span<const ValueId> wanted)
      : graph_(graph), tensors_(graph.value_count()), readers_(graph.value_count(), 0) {
    for (const Node& node : graph.nodes())
      for (const ValueId input : node.inputs)
        if (input != kNoValue) ++readers_[input];
    for (const ValueId value : wanted) ++readers_[value];
  }

  void set(ValueId value, Tensor tensor) { tensors_[value] = std::move(tensor); }

  Result<void> step(const Node& node) {
    std::vector<const Tensor*> operands;
    for (const ValueId input : node.inputs)
      operands.push_back(input == kNoValue ? nullptr : &load(input));
    auto result = evaluate(node.op, operands);
    if (!result) return within(node.name, std::move(result).error());
    for (const ValueId input : node.inputs)
      if (input != kNoValue && --readers_[input] == 0) tensors_[input].reset();
    if (readers_[node.output] > 0) tensors_[node.output] = std::move(*result);
    return {};
  }

  // Also constants are read only when a node asks for them.
  const Tensor& load(ValueId value) {
    if (!tensors_[value]) {
      CHECK(graph_.is_constant(value));
      tensors_[value] = tensor_of(graph_.value(value));
    }
    return *tensors_[value];
  }

 private:
  const Graph& graph_;
  std::vector<std::optional<Tensor>> tensors_;
  std::vector<std::size_t> readers_;
};

}  // namespace

Tensor tensor_of(const Value& constant) {
  Tensor tensor{constant.type, {}, {}};
  if (is_float(constant.type.dtype)) {
    const std::vector<float> numbers = to_floats(constant);
    tensor.reals.assign(numbers.begin(), numbers.end());
  } else {
    tensor.integers = to_integers(constant);
  }
  return tensor;
}

Constant constant_of(const Tensor& tensor) {
  switch (tensor.type.dtype) {
    case DType::i8:
      return store<std::int8_t>(tensor.integers, DType::i8);
    case DType::u8:
      return store<std::uint8_t>(tensor.integers, DType::u8);
    case DType::boolean:
      return store<std::uint8_t>(tensor.integers, DType::boolean);
    case DType::i32:
      return store<std::int32_t>(tensor.integers, DType::i32);
    case DType::i64:
      return store<std::int64_t>(tensor.integers, DType::i64);
    default:
      return store<float>(tensor.reals, DType::f32);
  }
}

Result<Tensor> evaluate(const Op& op, std::span<const Tensor* const> inputs) {
  std::vector<const TensorType*> types;
  for (const Tensor* input : inputs) {
    if (input != nullptr) TRY_VOID(expect_filled(*input));
    types.push_back(input == nullptr ? nullptr : &input->type);
  }
  TRY(const TensorType type, infer(op, types));
  return std::visit(
      [&](const auto& alternative) { return reference::compute(alternative, inputs, type); }, op);
}

Result<std::vector<Tensor>> evaluate(const Graph& graph, std::span<const Tensor> inputs,
                                     std::span<const ValueId> wanted) {
  if (inputs.size() != graph.inputs().size())
    return fail(Errc::malformed, "wrong number of inputs (", inputs.size(), ", ",
                graph.inputs().size(), ")");
  Run run(graph, wanted);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value& input = graph.value(graph.inputs()[i].value);
    if (inputs[i].type != input.type)
      return fail(Errc::malformed, "input has the wrong type (", input.name, ", ",
                  to_string(inputs[i].type), ", ", to_string(input.type), ")");
    run.set(graph.inputs()[i].value, inputs[i]);
  }
  for (const Node& node : graph.nodes()) TRY_VOID(run.step(node));
  std::vector<Tensor> results;
  for (const ValueId value : wanted) results.push_back(run.load(value));
  return results;
}

namespace reference {

Tensor zeros(const TensorType& type) {
  Tensor tensor{type, {}, {}};
  if (is_float(type.dtype)) {
    tensor.reals.resize(type.elements());
  } else {
    tensor.integers.resize(type.elements());
  }
  return tensor;
}

Shape broadcast_strides(const Shape& shape, const Shape& result) {
  Shape strides(result.size(), 0);
  const std::size_t skip = result.size() - shape.size();
  std::int64_t stride = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] != 1) strides[skip + axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

}  // namespace reference
}  // namespace dermlens::graph
