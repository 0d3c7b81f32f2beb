// Reduce, Pool and Softmax.
#include <algorithm>

#include "grad/rules.h"

namespace dermlens::grad {

using namespace graph;

namespace {

bool holds(const std::vector<std::size_t>& axes, std::size_t axis) {
  return std::ranges::find(axes, axis) != axes.end();
}

// `reduced`, the result or its gradient, with the reduced dimensions back as 1.
Result<ValueId> with_kept_dims(const Reduce& op, const Site& site, ValueId reduced) {
  if (op.keep_dims) return reduced;
  const Shape small = site.emit.shape(reduced);
  const std::size_t rank = site.input_shape(0).size();
  Shape kept;
  for (std::size_t axis = 0, from = 0; axis < rank; ++axis)
    kept.push_back(holds(op.axes, axis) ? 1 : small[from++]);
  return site.emit.reshaped(reduced, kept);
}

// Evenly to all that equal the extremum.
Result<ValueId> gradient_of_extremum(const Reduce& op, const Site& site, ValueId dy) {
  Emitter& emit = site.emit;
  const ValueId x = site.input(0);
  TRY(const ValueId y, with_kept_dims(op, site, site.output()));
  TRY(const ValueId equal, emit.binary(BinaryFn::equal, x, y));
  TRY(const ValueId mask, emit.cast(equal, emit.dtype(x)));
  TRY(const ValueId winners, emit.summed(mask, op.axes));
  TRY(const ValueId share, emit.binary(BinaryFn::div, dy, winners));
  return emit.binary(BinaryFn::mul, mask, share);
}

// The product of the others, also where there are zeros: with every zero replaced by 1, it is
// product / x where none of the others is a zero, and 0 where one is.
Result<ValueId> gradient_of_prod(const Reduce& op, const Site& site, ValueId dy) {
  Emitter& emit = site.emit;
  const ValueId x = site.input(0);
  TRY(const ValueId zero, emit.scalar(emit.dtype(x), 0));
  TRY(const ValueId one, emit.scalar(emit.dtype(x), 1));
  TRY(const ValueId is_zero, emit.binary(BinaryFn::equal, x, zero));
  TRY(const ValueId own_zero, emit.cast(is_zero, emit.dtype(x)));
  TRY(const ValueId all_zeros, emit.summed(own_zero, op.axes));
  TRY(const ValueId other_zeros, emit.binary(BinaryFn::sub, all_zeros, own_zero));
  TRY(const ValueId no_other_zero, emit.binary(BinaryFn::equal, other_zeros, zero));
  TRY(const ValueId safe, emit.where(is_zero, one, x));
  TRY(const ValueId product,
      emit.add(Reduce{.fn = ReduceFn::prod, .axes = op.axes, .keep_dims = true}, {safe}));
  TRY(const ValueId scaled, emit.binary(BinaryFn::mul, dy, product));
  TRY(const ValueId quotient, emit.binary(BinaryFn::div, scaled, safe));
  return emit.where(no_other_zero, quotient, zero);
}

double count_along(const Shape& shape, const std::vector<std::size_t>& axes) {
  double count = 1;
  for (const std::size_t axis : axes) count *= static_cast<double>(shape[axis]);
  return count;
}

Result<ValueId> gradient_of_reduce(const Reduce& op, const Site& site) {
  TRY(const ValueId dy, with_kept_dims(op, site, site.dy));
  switch (op.fn) {
    case ReduceFn::sum:
      return dy;  // the same for all that were summed: stays small
    case ReduceFn::mean:
      return site.emit.scaled(dy, 1 / count_along(site.input_shape(0), op.axes));
    case ReduceFn::max:
    case ReduceFn::min:
      return gradient_of_extremum(op, site, dy);
    case ReduceFn::prod:
      return gradient_of_prod(op, site, dy);
  }
  return fail(Errc::internal, "unknown reduction");
}

// One window over all of each channel, without padding.
bool covers_all(const PoolGeometry& geometry, const Shape& x, const Shape& y) {
  const auto zero = [](std::int64_t pad) { return pad == 0; };
  return std::ranges::equal(geometry.kernel, std::span(x).subspan(2)) &&
         std::ranges::all_of(geometry.dilations, [](std::int64_t step) { return step == 1; }) &&
         std::ranges::all_of(geometry.pads_begin, zero) &&
         std::ranges::all_of(geometry.pads_end, zero) &&
         std::ranges::all_of(std::span(y).subspan(2), [](std::int64_t size) { return size == 1; });
}

}  // namespace

Result<Gradients> rule(const Reduce& op, const Site& site) {
  if (!site.wants(0)) return site.none();
  if (op.axes.empty()) return site.only(site.dy);
  TRY(const ValueId dx, gradient_of_reduce(op, site));
  return site.only(dx);
}

Result<Gradients> rule(const Pool& op, const Site& site) {
  if (!site.wants(0)) return site.none();
  const Shape x = site.input_shape(0);
  if (op.geometry.kind != PoolKind::max && covers_all(op.geometry, x, site.output_shape())) {
    std::vector<std::size_t> spatial;
    for (std::size_t axis = 2; axis < x.size(); ++axis) spatial.push_back(axis);
    TRY(const ValueId dx, site.emit.scaled(site.dy, 1 / count_along(x, spatial)));
    return site.only(dx);
  }
  TRY(const ValueId dy, site.full());
  TRY(const ValueId dx, site.emit.add(PoolBackward{.geometry = op.geometry}, {dy, site.input(0)}));
  return site.only(dx);
}

Result<Gradients> rule(const Softmax& op, const Site& site) {
  if (!site.wants(0)) return site.none();
  Emitter& emit = site.emit;
  const ValueId y = site.output();
  TRY(const ValueId dy, site.full());
  if (op.log) {  // dy - softmax * sum(dy)
    TRY(const ValueId sum, emit.summed(dy, {op.axis}));
    TRY(const ValueId softmax, emit.unary({.fn = UnaryFn::exp, .alpha = 0, .beta = 0}, y));
    TRY(const ValueId mean, emit.binary(BinaryFn::mul, softmax, sum));
    TRY(const ValueId dx, emit.binary(BinaryFn::sub, dy, mean));
    return site.only(dx);
  }
  // (dy - sum(dy * softmax)) * softmax
  TRY(const ValueId product, emit.binary(BinaryFn::mul, dy, y));
  TRY(const ValueId sum, emit.summed(product, {op.axis}));
  TRY(const ValueId centred, emit.binary(BinaryFn::sub, dy, sum));
  TRY(const ValueId dx, emit.binary(BinaryFn::mul, centred, y));
  return site.only(dx);
}

}  // namespace dermlens::grad
