// Unary, Binary, Where and Cast.
#include "grad/rules.h"

namespace dermlens::grad {

using namespace graph;

namespace {

// dy * the derivative of x^exponent, for x of the result's shape.
Result<ValueId> gradient_of_power(const Site& site, float exponent) {
  if (exponent == 0) return kNoValue;
  const ValueId x = site.input(0);
  if (exponent == 2 && site.emit.shape(site.dy) != site.output_shape()) {
    // The variance of a normalisation: its small gradient broadcasts into the product.
    TRY(const ValueId twice, site.emit.scaled(site.dy, 2));
    return site.emit.binary(BinaryFn::mul, x, twice);
  }
  TRY(const ValueId dy, site.full());
  const Unary power{.fn = UnaryFn::power, .alpha = exponent, .beta = 0};
  return site.emit.add(UnaryBackward{.unary = power}, {x, dy});
}

// dy / (2 y), and 0 where y is 0. There the slope is infinite, and the square that a norm takes the
// root of has slope 0: their product, 0, is what PyTorch's norm says of a vector of zeros.
Result<ValueId> gradient_of_root(const Unary& op, const Site& site) {
  TRY(const ValueId dy, site.full());
  TRY(const ValueId dx, site.emit.add(UnaryBackward{.unary = op}, {site.input(0), dy}));
  TRY(const ValueId zero, site.emit.scalar(site.emit.dtype(dx), 0));
  TRY(const ValueId at_zero, site.emit.binary(BinaryFn::equal, site.output(), zero));
  return site.emit.where(at_zero, zero, dx);
}

}  // namespace

Result<Gradients> rule(const Unary& op, const Site& site) {
  if (!site.wants(0)) return site.none();
  switch (op.fn) {
    case UnaryFn::floor:
    case UnaryFn::ceil:
    case UnaryFn::round:
    case UnaryFn::sign:
      return site.none();
    case UnaryFn::linear: {
      if (op.alpha == 0) return site.none();
      TRY(const ValueId dx, site.emit.scaled(site.dy, op.alpha));
      return site.only(dx);
    }
    case UnaryFn::neg: {
      TRY(const ValueId dx, site.emit.scaled(site.dy, -1));
      return site.only(dx);
    }
    case UnaryFn::power: {
      TRY(const ValueId dx, gradient_of_power(site, op.alpha));
      return site.only(dx);
    }
    case UnaryFn::sqrt: {
      TRY(const ValueId dx, gradient_of_root(op, site));
      return site.only(dx);
    }
    default: {
      TRY(const ValueId dy, site.full());
      TRY(const ValueId dx, site.emit.add(UnaryBackward{.unary = op}, {site.input(0), dy}));
      return site.only(dx);
    }
  }
}

namespace {

Result<Gradients> rule_of_sum(const Site& site, double sign_of_b) {
  Gradients gradients = site.none();
  if (site.wants(0)) {
    TRY(gradients[0], site.summed_to_input(site.dy, 0));
  }
  if (site.wants(1)) {
    TRY(const ValueId sum, site.summed_to_input(site.dy, 1));
    TRY(gradients[1], site.emit.scaled(sum, sign_of_b));
  }
  return gradients;
}

Result<Gradients> rule_of_product(const Site& site) {
  const ValueId a = site.input(0), b = site.input(1);
  if (a == b && site.wants(0)) {  // x * x: one product instead of two and their sum
    TRY(const ValueId product, site.emit.binary(BinaryFn::mul, site.dy, a));
    TRY(const ValueId dx, site.emit.scaled(product, 2));
    return site.only(dx);
  }
  Gradients gradients = site.none();
  if (site.wants(0)) {
    TRY(const ValueId product, site.emit.binary(BinaryFn::mul, site.dy, b));
    TRY(gradients[0], site.summed_to_input(product, 0));
  }
  if (site.wants(1)) {
    TRY(const ValueId product, site.emit.binary(BinaryFn::mul, site.dy, a));
    TRY(gradients[1], site.summed_to_input(product, 1));
  }
  return gradients;
}

Result<Gradients> rule_of_quotient(const Site& site) {
  const ValueId b = site.input(1);
  Gradients gradients = site.none();
  if (site.wants(0)) {
    TRY(const ValueId quotient, site.emit.binary(BinaryFn::div, site.dy, b));
    TRY(gradients[0], site.summed_to_input(quotient, 0));
  }
  if (site.wants(1)) {
    // -dy a / b^2 = -(dy y) / b; b is the same all along the sum, so it divides the smaller tensor.
    TRY(const ValueId product, site.emit.binary(BinaryFn::mul, site.dy, site.output()));
    TRY(const ValueId sum, site.summed_to_input(product, 1));
    TRY(const ValueId quotient, site.emit.binary(BinaryFn::div, sum, b));
    TRY(gradients[1], site.emit.scaled(quotient, -1));
  }
  return gradients;
}

// The exponent of the derivative, b - 1; 0 instead of -1, so that 0 * a^0 is 0 whatever a is.
Result<ValueId> lowered_exponent(const Site& site) {
  Emitter& emit = site.emit;
  const ValueId b = site.input(1);
  if (emit.graph().is_constant(b)) {
    std::vector<float> exponents = to_floats(emit.graph().value(b));
    for (float& exponent : exponents) exponent = exponent == 0 ? 0 : exponent - 1;
    return emit.constant(emit.graph().value(b).type, std::move(exponents));
  }
  TRY(const ValueId zero, emit.scalar(emit.dtype(b), 0));
  TRY(const ValueId less_one, emit.unary({.fn = UnaryFn::linear, .alpha = 1, .beta = -1}, b));
  TRY(const ValueId is_zero, emit.binary(BinaryFn::equal, b, zero));
  return emit.where(is_zero, zero, less_one);
}

// dy b a^(b - 1)
Result<ValueId> gradient_of_base(const Site& site) {
  Emitter& emit = site.emit;
  const ValueId a = site.input(0), b = site.input(1);
  const Graph& graph = emit.graph();
  if (graph.is_constant(b) && graph.value(b).type.elements() == 1 &&
      site.input_shape(0) == site.output_shape())
    return gradient_of_power(site, to_floats(graph.value(b))[0]);
  TRY(const ValueId exponent, lowered_exponent(site));
  TRY(const ValueId power, emit.binary(BinaryFn::pow, a, exponent));
  TRY(const ValueId slope, emit.binary(BinaryFn::mul, power, b));
  TRY(const ValueId product, emit.binary(BinaryFn::mul, site.dy, slope));
  return site.summed_to_input(product, 0);
}

// dy y log(a), and 0 where a is 0 and b is not negative.
Result<ValueId> gradient_of_exponent(const Site& site) {
  Emitter& emit = site.emit;
  const ValueId a = site.input(0), b = site.input(1);
  TRY(const ValueId zero, emit.scalar(emit.dtype(a), 0));
  TRY(const ValueId logarithm, emit.unary({.fn = UnaryFn::log, .alpha = 0, .beta = 0}, a));
  TRY(const ValueId slope, emit.binary(BinaryFn::mul, site.output(), logarithm));
  TRY(const ValueId base_zero, emit.binary(BinaryFn::equal, a, zero));
  TRY(const ValueId not_negative, emit.binary(BinaryFn::greater_or_equal, b, zero));
  TRY(const ValueId constant_there, emit.binary(BinaryFn::logical_and, base_zero, not_negative));
  TRY(const ValueId product, emit.binary(BinaryFn::mul, site.dy, slope));
  TRY(const ValueId masked, emit.where(constant_there, zero, product));
  return site.summed_to_input(masked, 1);
}

Result<Gradients> rule_of_power(const Site& site) {
  Gradients gradients = site.none();
  if (site.wants(0)) {
    TRY(gradients[0], gradient_of_base(site));
  }
  if (site.wants(1)) {
    TRY(gradients[1], gradient_of_exponent(site));
  }
  return gradients;
}

// max: all of dy where the input is the greater one, half where both are equal. min: the lesser.
Result<Gradients> rule_of_extremum(const Site& site, BinaryFn wins) {
  Emitter& emit = site.emit;
  Gradients gradients = site.none();
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    if (!site.wants(i)) continue;
    const ValueId self = site.input(i), other = site.input(1 - i);
    TRY(const ValueId zero, emit.scalar(emit.dtype(self), 0));
    TRY(const ValueId won, emit.binary(wins, self, other));
    TRY(const ValueId tied, emit.binary(BinaryFn::equal, self, other));
    TRY(const ValueId half, emit.scaled(site.dy, 0.5));
    TRY(const ValueId all_or_nothing, emit.where(won, site.dy, zero));
    TRY(const ValueId share, emit.where(tied, half, all_or_nothing));
    TRY(gradients[i], site.summed_to_input(share, i));
  }
  return gradients;
}

// a - b trunc(a / b): the derivative by b jumps, that by a is 1.
Result<Gradients> rule_of_remainder(const Site& site) {
  if (site.wants(1)) return site.no_derivative("its divisor");
  if (!site.wants(0)) return site.none();
  TRY(const ValueId da, site.summed_to_input(site.dy, 0));
  return site.only(da);
}

}  // namespace

Result<Gradients> rule(const Binary& op, const Site& site) {
  switch (op.fn) {
    case BinaryFn::add:
      return rule_of_sum(site, 1);
    case BinaryFn::sub:
      return rule_of_sum(site, -1);
    case BinaryFn::mul:
      return rule_of_product(site);
    case BinaryFn::div:
      return rule_of_quotient(site);
    case BinaryFn::pow:
      return rule_of_power(site);
    case BinaryFn::max:
      return rule_of_extremum(site, BinaryFn::greater);
    case BinaryFn::min:
      return rule_of_extremum(site, BinaryFn::less);
    case BinaryFn::mod:
      return rule_of_remainder(site);
    default:
      return site.none();  // comparisons and logic: boolean results have no gradient
  }
}

Result<Gradients> rule(const Where&, const Site& site) {
  const ValueId condition = site.input(0);
  Gradients gradients = site.none();
  if (site.wants(1)) {
    TRY(const ValueId zero, site.emit.scalar(site.emit.dtype(site.dy), 0));
    TRY(const ValueId da, site.emit.where(condition, site.dy, zero));
    TRY(gradients[1], site.summed_to_input(da, 1));
  }
  if (site.wants(2)) {
    TRY(const ValueId zero, site.emit.scalar(site.emit.dtype(site.dy), 0));
    TRY(const ValueId db, site.emit.where(condition, zero, site.dy));
    TRY(gradients[2], site.summed_to_input(db, 2));
  }
  return gradients;
}

Result<Gradients> rule(const Cast&, const Site& site) {
  if (!site.wants(0)) return site.none();
  TRY(const ValueId dx, site.emit.cast(site.dy, site.emit.dtype(site.input(0))));
  return site.only(dx);
}

}  // namespace dermlens::grad
