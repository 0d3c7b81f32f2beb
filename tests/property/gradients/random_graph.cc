#include "property/gradients/random_graph.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dermlens::grad {

using namespace graph;

namespace {

constexpr std::size_t kMaxElementsHere = 200;
constexpr double kLargest = 8;

template <class T>
const T& pick(std::mt19937& random, const std::vector<T>& from) {
  return from[std::uniform_int_distribution<std::size_t>(0, from.size() - 1)(random)];
}

}  // namespace

RandomGraph::RandomGraph(std::uint32_t seed) : check(seed), random_(seed * 7919 + 1) {
  static const std::vector<Shape> kShapes = {
      {1, 4, 4, 4}, {2, 2, 3, 3}, {1, 2, 5}, {3, 4}, {2, 3, 4}, {6}, {1, 2, 2, 3, 2}, {1, 1, 4, 1}};
  for (std::int64_t i = uniform(1, 3); i > 0; --i) {
    const ValueId x = check.input(pick(random_, kShapes), -1.5, 1.7);
    targets.push_back(x);
    values.push_back(x);
  }
}

std::int64_t RandomGraph::uniform(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
}

bool RandomGraph::chance(double probability) {
  return std::bernoulli_distribution(probability)(random_);
}

std::size_t RandomGraph::any_axis(const Shape& shape) {
  return static_cast<std::size_t>(uniform(0, std::ssize(shape) - 1));
}

ValueId RandomGraph::any_value() { return pick(random_, values); }

RandomGraph::Made RandomGraph::add(Op op, std::vector<ValueId> inputs) {
  const auto made = check.graph.add(std::move(op), std::move(inputs));
  if (!made) return std::nullopt;
  return *made;
}

ValueId RandomGraph::bounded(ValueId x) {
  for (const double number : check.numbers_of(x))
    if (!(std::abs(number) < kLargest)) return check.add(unary(UnaryFn::tanh), {x});
  return x;
}

ValueId RandomGraph::positive(ValueId x) {
  const ValueId above_zero = check.add(unary(UnaryFn::softplus), {x});
  return check.add(unary(UnaryFn::linear, 1, 0.4F), {above_zero});
}

RandomGraph::Made RandomGraph::smooth_unary(ValueId x) {
  static const std::vector<Unary> kFunctions = {
      {UnaryFn::sigmoid, 0, 0},  {UnaryFn::tanh, 0, 0},
      {UnaryFn::silu, 0, 0},     {UnaryFn::erf, 0, 0},
      {UnaryFn::gelu_erf, 0, 0}, {UnaryFn::gelu_tanh, 0, 0},
      {UnaryFn::neg, 0, 0},      {UnaryFn::linear, -0.7F, 0.3F},
      {UnaryFn::softplus, 0, 0}, {UnaryFn::power, 2, 0},
      {UnaryFn::elu, 1, 0}};
  return add(pick(random_, kFunctions), {x});
}

RandomGraph::Made RandomGraph::kinked_unary(ValueId x) {
  static const std::vector<Unary> kFunctions = {{UnaryFn::relu, 0, 0},
                                                {UnaryFn::clip, -0.5F, 0.9F},
                                                {UnaryFn::hard_sigmoid, 0.2F, 0.5F},
                                                {UnaryFn::hard_swish, 0, 0},
                                                {UnaryFn::abs, 0, 0},
                                                {UnaryFn::leaky_relu, 0.1F, 0},
                                                {UnaryFn::elu, 0.5F, 0}};
  return add(pick(random_, kFunctions), {x});
}

RandomGraph::Made RandomGraph::unary_of_positive(ValueId x) {
  static const std::vector<Unary> kFunctions = {{UnaryFn::log, 0, 0},
                                                {UnaryFn::sqrt, 0, 0},
                                                {UnaryFn::reciprocal, 0, 0},
                                                {UnaryFn::power, -0.5F, 0},
                                                {UnaryFn::power, 1.7F, 0}};
  return add(pick(random_, kFunctions), {positive(x)});
}

RandomGraph::Made RandomGraph::binary_of_two(ValueId x) {
  static const std::vector<BinaryFn> kFunctions = {BinaryFn::add, BinaryFn::sub, BinaryFn::mul,
                                                   BinaryFn::div, BinaryFn::max, BinaryFn::min};
  ValueId y = kNoValue;
  for (int attempt = 0; attempt < 8 && y == kNoValue; ++attempt) {
    const ValueId candidate = any_value();
    const auto both = broadcast(shape(x), shape(candidate));
    if (both && count(*both).value_or(kMaxElements) <= kMaxElementsHere) y = candidate;
  }
  if (y == kNoValue) return std::nullopt;
  const BinaryFn fn = pick(random_, kFunctions);
  if (fn == BinaryFn::div) y = positive(y);
  // A value tied with itself everywhere has no difference quotient.
  if (y == x && (fn == BinaryFn::max || fn == BinaryFn::min)) return std::nullopt;
  return chance(0.5) || fn == BinaryFn::div ? add(binary(fn), {x, y}) : add(binary(fn), {y, x});
}

// Squeeze and excite: a value times a gate made of its own means.
RandomGraph::Made RandomGraph::gated(ValueId x) {
  const Made mean = reduced(x);
  if (!mean || shape(*mean).size() != shape(x).size()) return std::nullopt;
  const ValueId gate = check.add(unary(UnaryFn::sigmoid), {*mean});
  return add(binary(BinaryFn::mul), {x, gate});
}

RandomGraph::Made RandomGraph::power(ValueId x) {
  Shape exponent = shape(x);
  for (std::int64_t& dim : exponent)
    if (chance(0.5)) dim = 1;
  return add(binary(BinaryFn::pow), {positive(x), check.constant(exponent)});
}

RandomGraph::Made RandomGraph::reduced(ValueId x) {
  static const std::vector<ReduceFn> kFunctions = {ReduceFn::sum,  ReduceFn::mean, ReduceFn::mean,
                                                   ReduceFn::mean, ReduceFn::max,  ReduceFn::min,
                                                   ReduceFn::prod};
  std::vector<std::size_t> axes;
  for (std::size_t axis = 0; axis < shape(x).size(); ++axis)
    if (chance(0.5)) axes.push_back(axis);
  return add(reduce(pick(random_, kFunctions), axes, chance(0.7)), {x});
}

RandomGraph::Made RandomGraph::softmax(ValueId x) {
  if (shape(x).empty()) return std::nullopt;
  return add(Softmax{.axis = any_axis(shape(x)), .log = chance(0.5)}, {x});
}

RandomGraph::Made RandomGraph::transposed(ValueId x) {
  std::vector<std::size_t> permutation(shape(x).size());
  std::iota(permutation.begin(), permutation.end(), 0);
  std::ranges::shuffle(permutation, random_);
  return add(Transpose{permutation}, {x});
}

RandomGraph::Made RandomGraph::reshaped(ValueId x) {
  auto rest = static_cast<std::int64_t>(check.elements(x));
  Shape to;
  while (rest > 1 && to.size() < 4) {
    std::int64_t factor = uniform(1, rest);
    while (rest % factor != 0) --factor;
    to.push_back(factor);
    rest /= factor;
  }
  to.push_back(rest);
  return add(Reshape{to}, {x});
}

RandomGraph::Made RandomGraph::expanded(ValueId x) {
  Shape to = shape(x);
  for (std::int64_t& dim : to)
    if (dim == 1) dim = uniform(1, 3);
  if (to.size() < 4 && chance(0.4)) to.insert(to.begin(), uniform(1, 2));
  return add(Expand{to}, {x});
}

RandomGraph::Made RandomGraph::sliced(ValueId x) {
  Slice slice;
  for (const std::int64_t dim : shape(x)) {
    const std::int64_t first = uniform(0, dim - 1), last = uniform(0, dim - 1);
    const std::int64_t step = std::max<std::int64_t>(1, uniform(0, 2));
    slice.starts.push_back(first);
    slice.steps.push_back(last < first ? -step : step);
    slice.sizes.push_back(std::abs(last - first) / step + 1);
  }
  return add(slice, {x});
}

RandomGraph::Made RandomGraph::placed(ValueId x) {
  SliceBackward place;
  for (const std::int64_t dim : shape(x)) {
    const std::int64_t start = uniform(0, 1), step = uniform(1, 2);
    place.slice.starts.push_back(start);
    place.slice.steps.push_back(step);
    place.slice.sizes.push_back(dim);
    place.input_shape.push_back(start + (dim - 1) * step + 1 + uniform(0, 1));
  }
  return add(place, {x});
}

RandomGraph::Made RandomGraph::joined(ValueId x) {
  if (shape(x).empty()) return std::nullopt;
  const Concat concat{any_axis(shape(x))};
  for (int attempt = 0; attempt < 6; ++attempt)
    if (const Made made = add(concat, {x, any_value(), x})) return made;
  return add(concat, {x, x});
}

RandomGraph::Made RandomGraph::padded(ValueId x) {
  static const std::vector<PadMode> kModes = {PadMode::constant, PadMode::reflect, PadMode::edge};
  Pad pad{.mode = pick(random_, kModes), .begin = {}, .end = {}, .value = 0.5F};
  const std::int64_t least = pad.mode == PadMode::constant ? -1 : 0;
  for (std::size_t axis = 0; axis < shape(x).size(); ++axis) {
    pad.begin.push_back(chance(0.4) ? uniform(least, 2) : 0);
    pad.end.push_back(chance(0.4) ? uniform(least, 2) : 0);
  }
  return add(pad, {x});
}

RandomGraph::Made RandomGraph::gathered(ValueId x) {
  if (shape(x).empty()) return std::nullopt;
  const std::size_t axis = any_axis(shape(x));
  const std::int64_t dim = shape(x)[axis];
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(uniform(1, 4)));
  for (std::int64_t& number : numbers) number = uniform(-dim, dim - 1);
  Shape indices{std::ssize(numbers)};
  if (numbers.size() == 1 && chance(0.5)) indices = {};
  if (numbers.size() == 4 && chance(0.5)) indices = {2, 2};
  return add(Gather{axis}, {x, check.indices(indices, numbers)});
}

RandomGraph::Made RandomGraph::chosen(ValueId x) {
  const ValueId condition =
      check.add(binary(BinaryFn::less), {check.constant(shape(x)), check.constant({})});
  const ValueId other = check.add(unary(UnaryFn::sigmoid), {x});
  return chance(0.5) ? add(Where{}, {condition, x, other})
                     : add(Where{}, {condition, check.constant({}), x});
}

RandomGraph::Made RandomGraph::convolved(ValueId x) {
  const Shape from = shape(x);
  if (from.size() < 3 || from.size() > 5) return std::nullopt;
  ConvGeometry geometry;
  geometry.groups = chance(0.3) ? from[1] : 1;
  Shape filter{geometry.groups * uniform(1, 2), from[1] / geometry.groups};
  for (std::size_t axis = 2; axis < from.size(); ++axis) {
    filter.push_back(uniform(1, 3));
    geometry.strides.push_back(uniform(1, 2));
    geometry.dilations.push_back(uniform(1, 2));
    geometry.pads_begin.push_back(uniform(0, 2));
    geometry.pads_end.push_back(uniform(0, 2));
  }
  const ValueId bias = chance(0.5) ? check.constant({filter[0]}) : kNoValue;
  return add(Conv{geometry, {}}, {x, check.constant(filter), bias});
}

RandomGraph::Made RandomGraph::deconvolved(ValueId x) {
  const Shape from = shape(x);
  if (from.size() < 3 || from.size() > 5) return std::nullopt;
  ConvGeometry geometry;
  Shape filter{from[1], uniform(1, 2)};
  Shape to{from[0], filter[1]};
  for (std::size_t axis = 2; axis < from.size(); ++axis) {
    const std::int64_t kernel = uniform(1, 3), stride = uniform(1, 2), begin = uniform(0, 1);
    filter.push_back(kernel);
    geometry.strides.push_back(stride);
    geometry.dilations.push_back(1);
    geometry.pads_begin.push_back(begin);
    geometry.pads_end.push_back(0);
    to.push_back((from[axis] - 1) * stride + kernel - begin + uniform(0, stride - 1));
  }
  return add(ConvBackwardData{geometry, to}, {x, check.constant(filter)});
}

RandomGraph::Made RandomGraph::pooled(ValueId x) {
  static const std::vector<PoolKind> kKinds = {PoolKind::max, PoolKind::average_include_pad,
                                               PoolKind::average_exclude_pad};
  const Shape from = shape(x);
  if (from.size() < 3 || from.size() > 5) return std::nullopt;
  const bool global = chance(0.3);
  PoolGeometry geometry;
  geometry.kind = pick(random_, kKinds);
  for (std::size_t axis = 2; axis < from.size(); ++axis) {
    geometry.kernel.push_back(global ? from[axis] : uniform(1, 3));
    geometry.strides.push_back(uniform(1, 2));
    geometry.dilations.push_back(global ? 1 : uniform(1, 2));
    geometry.pads_begin.push_back(global ? 0 : uniform(0, 1));
    geometry.pads_end.push_back(global ? 0 : uniform(0, 1));
  }
  return add(Pool{geometry}, {x});
}

RandomGraph::Made RandomGraph::multiplied(ValueId x) {
  const Shape from = shape(x);
  if (from.size() < 2) return std::nullopt;
  MatMul op{.transpose_a = chance(0.5), .transpose_b = chance(0.5), .post_ops = {}};
  if (chance(0.3)) {
    op.transpose_b = !op.transpose_a;
    return add(op, {x, x, kNoValue});
  }
  for (int attempt = 0; attempt < 4; ++attempt)
    if (const Made made = add(op, {x, any_value(), kNoValue})) return made;
  const std::int64_t depth = from[from.size() - (op.transpose_a ? 2 : 1)];
  const std::int64_t columns = uniform(1, 3);
  Shape weights = op.transpose_b ? Shape{columns, depth} : Shape{depth, columns};
  if (chance(0.3)) weights.insert(weights.begin(), from.size() > 2 ? from[from.size() - 3] : 2);
  return add(op, {x, check.constant(weights), check.constant({columns})});
}

void RandomGraph::grow() {
  using Growth = Made (RandomGraph::*)(ValueId);
  static const std::vector<Growth> kGrowths = {
      &RandomGraph::smooth_unary,  &RandomGraph::kinked_unary,  &RandomGraph::unary_of_positive,
      &RandomGraph::binary_of_two, &RandomGraph::binary_of_two, &RandomGraph::gated,
      &RandomGraph::gated,         &RandomGraph::power,         &RandomGraph::reduced,
      &RandomGraph::reduced,       &RandomGraph::softmax,       &RandomGraph::transposed,
      &RandomGraph::reshaped,      &RandomGraph::expanded,      &RandomGraph::sliced,
      &RandomGraph::placed,        &RandomGraph::joined,        &RandomGraph::padded,
      &RandomGraph::gathered,      &RandomGraph::chosen,        &RandomGraph::convolved,
      &RandomGraph::convolved,     &RandomGraph::deconvolved,   &RandomGraph::pooled,
      &RandomGraph::multiplied};
  const ValueId from = chance(0.7) ? values.back() : any_value();
  const Made made = (this->*pick(random_, kGrowths))(from);
  const std::size_t size = made ? check.elements(*made) : 0;
  if (size == 0 || size > kMaxElementsHere) return;
  ValueId grown = bounded(*made);
  if (chance(0.2)) {
    const ValueId watch = check.input(shape(grown), -0.31, 0.3);
    targets.push_back(watch);
    grown = check.add(binary(BinaryFn::add), {grown, watch});
  }
  values.push_back(grown);
}

}  // namespace dermlens::grad
