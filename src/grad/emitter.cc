#include "grad/emitter.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

namespace dermlens::grad {

using namespace graph;

Result<ValueId> Emitter::add(Op op, std::vector<ValueId> inputs) {
  std::string name = "grad:" + subject_ + "/";
  name += name_of(op);
  return graph_.add(std::move(op), std::move(inputs), name);
}

Result<ValueId> Emitter::unary(Unary op, ValueId x) { return add(op, {x}); }

Result<ValueId> Emitter::binary(BinaryFn fn, ValueId a, ValueId b) {
  return add(Binary{.fn = fn, .post_ops = {}}, {a, b});
}

Result<ValueId> Emitter::where(ValueId condition, ValueId a, ValueId b) {
  return add(Where{}, {condition, a, b});
}

Result<ValueId> Emitter::cast(ValueId x, DType to) {
  if (dtype(x) == to) return x;
  return add(Cast{.to = to}, {x});
}

Result<ValueId> Emitter::scaled(ValueId x, double factor) {
  if (factor == 1) return x;
  return unary({.fn = UnaryFn::linear, .alpha = static_cast<float>(factor), .beta = 0}, x);
}

Result<ValueId> Emitter::reshaped(ValueId x, const Shape& to) {
  if (shape(x) == to) return x;
  return add(Reshape{.shape = to}, {x});
}

Result<ValueId> Emitter::expanded(ValueId x, const Shape& to) {
  if (shape(x) == to) return x;
  const auto known = expanded_.find({x, to});
  if (known != expanded_.end()) return known->second;
  TRY(const ValueId made, add(Expand{.shape = to}, {x}));
  expanded_.emplace(std::pair(x, to), made);
  return made;
}

Result<ValueId> Emitter::summed(ValueId x, const std::vector<std::size_t>& axes) {
  const Shape from = shape(x);
  if (std::ranges::all_of(axes, [&](std::size_t axis) { return from[axis] == 1; })) return x;
  return add(Reduce{.fn = ReduceFn::sum, .axes = axes, .keep_dims = true}, {x});
}

Result<ValueId> Emitter::summed_to(ValueId x, const Shape& full, const Shape& to) {
  const Shape from = shape(x);
  const std::size_t added = full.size() - to.size();
  std::vector<std::size_t> axes;
  double repeats = 1;  // of what `x` itself does not repeat although the sum runs over it
  Shape kept, squeezed;
  for (std::size_t axis = 0; axis < full.size(); ++axis) {
    const bool sum_over = axis < added || to[axis - added] == 1;
    if (sum_over && from[axis] != 1) axes.push_back(axis);
    if (sum_over && from[axis] == 1) repeats *= static_cast<double>(full[axis]);
    if (axis >= added) kept.push_back(sum_over ? 1 : from[axis]);
    if (!sum_over || from[axis] == 1) squeezed.push_back(from[axis]);
  }
  if (!axes.empty()) {
    const bool keep_dims = squeezed != kept;
    TRY(x, add(Reduce{.fn = ReduceFn::sum, .axes = axes, .keep_dims = keep_dims}, {x}));
  }
  TRY(const ValueId small, reshaped(x, kept));
  return scaled(small, repeats);
}

Result<ValueId> Emitter::scalar(DType type, float number) {
  const auto known = scalars_.find({type, number});
  if (known != scalars_.end()) return known->second;
  TRY(const ValueId made, constant({.dtype = type, .shape = {}}, {number}));
  scalars_.emplace(std::pair(type, number), made);
  return made;
}

Result<ValueId> Emitter::constant(const TensorType& type, std::vector<float> numbers) {
  static_assert(std::endian::native == std::endian::little);
  auto owner = std::make_shared<const std::vector<float>>(std::move(numbers));
  Constant recipe;
  recipe.stored_as = DType::f32;
  recipe.stored = std::as_bytes(std::span(*owner));
  recipe.owner = owner;
  return graph_.add_constant("grad:constant", type, std::move(recipe));
}

}  // namespace dermlens::grad
