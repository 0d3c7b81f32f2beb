// Names and eager folding.
#include "onnx/scope.h"

#include "graph/reference.h"

namespace dermlens::onnx {
namespace {

using graph::kNoValue;
using graph::ValueId;

// One folded node, and all of them together: hostile files must not buy work or memory here.
constexpr Bytes kMaxFoldedInputs = 256 * 1024;
constexpr Bytes kMaxFoldedResult = 64 * 1024;
constexpr std::size_t kMaxFoldedElements = 16u << 20;
// Constants that are computed or copied, all of them together.
constexpr Bytes kMaxOwnedBytes = Bytes{64} << 20;

// These cost more than the elements they read and write.
bool is_costly(const graph::Op& op) {
  return std::holds_alternative<graph::Conv>(op) || std::holds_alternative<graph::Pool>(op) ||
         std::holds_alternative<graph::MatMul>(op);
}

TypedConstant owned_result(const graph::Tensor& tensor) {
  if (!graph::is_float(tensor.type.dtype))
    return own_integers(tensor.type.dtype, tensor.type.shape, tensor.integers);
  const std::vector<float> floats(tensor.reals.begin(), tensor.reals.end());
  return own_floats(tensor.type.shape, floats);
}

}  // namespace

Result<ValueId> Scope::lookup(std::string_view name) const {
  const std::string key(name);
  if (const auto found = values_.find(key); found != values_.end()) return found->second;
  if (const auto found = missing_.find(key); found != missing_.end())
    return tl::make_unexpected(*found->second);
  return fail(Errc::malformed, "'", name, "' is not defined by any earlier node");
}

Result<void> Scope::define(std::string_view name, ValueId value) {
  if (name.empty()) return fail(Errc::malformed, "a value without a name");
  if (missing_.contains(std::string(name)) || !values_.emplace(name, value).second)
    return fail(Errc::malformed, "'", name, "' is defined twice");
  return {};
}

void Scope::define_missing(std::string_view name, std::shared_ptr<const Error> why) {
  if (name.empty()) return;
  values_.erase(std::string(name));
  missing_.emplace(name, std::move(why));
}

std::shared_ptr<const Error> Scope::why_missing(std::string_view name) const {
  const auto found = missing_.find(std::string(name));
  return found == missing_.end() ? nullptr : found->second;
}

Result<ValueId> Scope::add_constant(std::string_view name, TypedConstant constant) {
  owned_bytes_ += constant.owned_bytes;
  if (owned_bytes_ > kMaxOwnedBytes)
    return fail(Errc::too_large, "bytes of constants that do not lie in the file as they are (",
                owned_bytes_, ", ", kMaxOwnedBytes, ")");
  return graph_.add_constant(name, std::move(constant.type), std::move(constant.constant));
}

Result<std::optional<ValueId>> Scope::fold(const graph::Op& op, std::span<const ValueId> inputs,
                                           std::string_view name) {
  const std::optional<ValueId> no;
  if (is_costly(op) || inputs.empty()) return no;
  std::vector<const graph::TensorType*> types;
  Bytes elements = 0;
  for (const ValueId input : inputs) {
    types.push_back(input == kNoValue ? nullptr : &graph_.value(input).type);
    if (input == kNoValue) continue;
    if (!graph_.is_constant(input)) return no;
    elements += graph_.value(input).type.elements();
    if (elements > kMaxFoldedInputs) return no;
  }
  TRY(const graph::TensorType type, graph::infer(op, types));
  if (type.elements() > kMaxFoldedResult) return no;
  elements += type.elements();
  if (elements > kMaxFoldedElements - folded_elements_) return no;
  folded_elements_ += elements;

  std::vector<graph::Tensor> tensors;
  tensors.reserve(inputs.size());
  std::vector<const graph::Tensor*> arguments;
  for (const ValueId input : inputs) {
    if (input != kNoValue) tensors.push_back(graph::tensor_of(graph_.value(input)));
    arguments.push_back(input == kNoValue ? nullptr : &tensors.back());
  }
  const auto result = graph::evaluate(op, arguments);
  // What the reference does not define for these types, the engine may.
  if (!result && result.error().code == Errc::unsupported) return no;
  if (!result) return tl::make_unexpected(result.error());
  TRY(const ValueId value, add_constant(name, owned_result(*result)));
  return value;
}

Result<ValueId> Scope::emit(graph::Op op, std::vector<ValueId> inputs, std::string_view name) {
  TRY(const std::optional<ValueId> folded, fold(op, inputs, name));
  if (folded) return *folded;
  return graph_.add(std::move(op), std::move(inputs), name);
}

std::map<std::string, ValueId> Scope::aliases() const {
  std::map<std::string, ValueId> result;
  for (const auto& [name, value] : values_)
    if (graph_.find(name) != value) result.emplace(name, value);
  return result;
}

}  // namespace dermlens::onnx
