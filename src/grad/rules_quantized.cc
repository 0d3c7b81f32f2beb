// The straight-through estimator for Dequantize(Quantize(x)), the form in which int8 models keep
// their activations. The "gradient" of a quantized value, which only these two rules see, is that
// of the number it represents.
#include <algorithm>
#include <cmath>
#include <limits>

#include "grad/rules.h"

namespace dermlens::grad {

using namespace graph;

namespace {

std::vector<std::int64_t> zero_points(const Graph& graph, ValueId zero_point, std::size_t count) {
  if (zero_point == kNoValue) return std::vector<std::int64_t>(count, 0);
  return to_integers(graph.value(zero_point));
}

bool is_known(const Graph& graph, ValueId value) {
  return value == kNoValue || graph.is_constant(value);
}

ValueId optional_input(const std::vector<ValueId>& inputs, std::size_t i) {
  return i < inputs.size() ? inputs[i] : kNoValue;
}

bool same_numbers(const Graph& graph, const std::vector<ValueId>& a,
                  const std::vector<ValueId>& b) {
  const ValueId zero_a = optional_input(a, 2), zero_b = optional_input(b, 2);
  if (a[1] == b[1] && zero_a == zero_b) return true;
  if (!is_known(graph, a[1]) || !is_known(graph, b[1]) || !is_known(graph, zero_a) ||
      !is_known(graph, zero_b))
    return false;
  const std::vector<float> scale = to_floats(graph.value(a[1]));
  return scale == to_floats(graph.value(b[1])) &&
         zero_points(graph, zero_a, scale.size()) == zero_points(graph, zero_b, scale.size());
}

struct Range {
  std::int64_t lowest, highest;
};

Range range_of(DType type) {
  if (type == DType::i8) return {-128, 127};
  return {0, 255};
}

// The greatest x / scale that rounds, half to even, to at most `bound`; the least for a lower one.
float bound_before_rounding(std::int64_t bound, double away) {
  const auto half = static_cast<float>(static_cast<double>(bound) + away);
  if (bound % 2 == 0) return half;
  return std::nextafter(half, static_cast<float>(bound));
}

// One scale for all of x: dy where x is inside, by the derivative of clip.
Result<ValueId> masked_by_one_scale(const Site& site, Range range, float scale,
                                    std::int64_t zero_point) {
  const Unary clip{.fn = UnaryFn::clip,
                   .alpha = bound_before_rounding(range.lowest - zero_point, -0.5) * scale,
                   .beta = bound_before_rounding(range.highest - zero_point, 0.5) * scale};
  TRY(const ValueId dy, site.full());
  return site.emit.add(UnaryBackward{.unary = clip}, {site.input(0), dy});
}

// A scale for each index along an axis: the same, after x is brought into quantized units.
Result<ValueId> masked_by_scales(const Site& site, Range range, std::size_t axis,
                                 const std::vector<float>& scale,
                                 const std::vector<std::int64_t>& zero_point) {
  Emitter& emit = site.emit;
  const DType dtype = emit.dtype(site.input(0));
  Shape shape(site.input_shape(0).size(), 1);
  shape[axis] = static_cast<std::int64_t>(scale.size());
  TRY(const ValueId scales, emit.constant({dtype, shape}, scale));
  TRY(const ValueId offsets,
      emit.constant({dtype, shape}, std::vector<float>(zero_point.begin(), zero_point.end())));
  TRY(const ValueId units, emit.binary(BinaryFn::div, site.input(0), scales));
  TRY(const ValueId whole, emit.unary({.fn = UnaryFn::round, .alpha = 0, .beta = 0}, units));
  TRY(const ValueId stored, emit.binary(BinaryFn::add, whole, offsets));
  const Unary clip{.fn = UnaryFn::clip,
                   .alpha = static_cast<float>(range.lowest),
                   .beta = static_cast<float>(range.highest)};
  TRY(const ValueId dy, site.full());
  return emit.add(UnaryBackward{.unary = clip}, {stored, dy});
}

}  // namespace

Result<Gradients> rule(const Quantize& op, const Site& site) {
  if (site.wants(1)) return site.no_derivative("its scale");
  if (!site.wants(0)) return site.none();
  const Graph& graph = site.emit.graph();
  const ValueId offset = site.input_count() > 2 ? site.input(2) : kNoValue;
  if (!is_known(graph, site.input(1)) || !is_known(graph, offset))
    return site.no_derivative("its input: scale or zero point is no constant");
  std::vector<float> scale = to_floats(graph.value(site.input(1)));
  std::vector<std::int64_t> zero_point = zero_points(graph, offset, scale.size());
  // Either may be one number for all of the axis.
  if (scale.size() < zero_point.size()) scale.resize(zero_point.size(), scale[0]);
  if (zero_point.size() < scale.size()) zero_point.resize(scale.size(), zero_point[0]);
  const Range range = range_of(op.to);
  if (scale.size() == 1) {
    TRY(const ValueId dx, masked_by_one_scale(site, range, scale[0], zero_point[0]));
    return site.only(dx);
  }
  TRY(const ValueId dx, masked_by_scales(site, range, op.axis, scale, zero_point));
  return site.only(dx);
}

Result<Gradients> rule(const Dequantize& op, const Site& site) {
  if (site.wants(1)) return site.no_derivative("its scale");
  if (!site.wants(0)) return site.none();
  const Graph& graph = site.emit.graph();
  const NodeId producer = graph.value(site.input(0)).producer;
  const Node* quantize = producer == kNoNode ? nullptr : &graph.node(producer);
  const auto* pair = quantize ? std::get_if<Quantize>(&quantize->op) : nullptr;
  std::vector<ValueId> own;
  for (std::size_t i = 0; i < site.input_count(); ++i) own.push_back(site.input(i));
  if (!pair || !same_numbers(graph, quantize->inputs, own) ||
      (pair->axis != op.axis && graph.value(own[1]).type.elements() != 1))
    return site.no_derivative("its input: it does not undo a Quantize of the same scale");
  return site.only(site.dy);
}

}  // namespace dermlens::grad
