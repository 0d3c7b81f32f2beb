// Operators that move numbers without computing: Transpose, Reshape, Expand, Slice, Concat, Pad,
// Gather.
#include <algorithm>
#include <optional>

#include "grad/rules.h"

namespace dermlens::grad {

using namespace graph;

Result<Gradients> rule(const Transpose& op, const Site& site) {
  if (!site.wants(0)) return site.none();
  Transpose inverse{.permutation = op.permutation};
  for (std::size_t i = 0; i < op.permutation.size(); ++i)
    inverse.permutation[op.permutation[i]] = i;
  TRY(const ValueId dx, site.emit.add(inverse, {site.dy}));
  return site.only(dx);
}

Result<Gradients> rule(const Reshape&, const Site& site) {
  if (!site.wants(0)) return site.none();
  TRY(const ValueId dy, site.full());
  TRY(const ValueId dx, site.emit.reshaped(dy, site.input_shape(0)));
  return site.only(dx);
}

Result<Gradients> rule(const Expand&, const Site& site) {
  if (!site.wants(0)) return site.none();
  TRY(const ValueId dx, site.summed_to_input(site.dy, 0));
  return site.only(dx);
}

Result<Gradients> rule(const Slice& op, const Site& site) {
  if (!site.wants(0)) return site.none();
  TRY(const ValueId dy, site.full());
  TRY(const ValueId dx,
      site.emit.add(SliceBackward{.slice = op, .input_shape = site.input_shape(0)}, {dy}));
  return site.only(dx);
}

Result<Gradients> rule(const SliceBackward& op, const Site& site) {
  if (!site.wants(0)) return site.none();
  TRY(const ValueId dy, site.full());
  TRY(const ValueId dx, site.emit.add(op.slice, {dy}));
  return site.only(dx);
}

namespace {

// [start, start + step, ...], `size` of them, along one axis of a tensor of this shape; all along
// the others.
Slice slice_along(const Shape& shape, std::size_t axis, std::int64_t start, std::int64_t step,
                  std::int64_t size) {
  Slice slice{.starts = Shape(shape.size(), 0), .steps = Shape(shape.size(), 1), .sizes = shape};
  slice.starts[axis] = start;
  slice.steps[axis] = step;
  slice.sizes[axis] = size;
  return slice;
}

// `piece` placed along `axis` into zeros of `shape` and added to `sum`, which may be kNoValue.
Result<ValueId> plus_placed(Emitter& emit, ValueId sum, ValueId piece, const Slice& place,
                            const Shape& shape) {
  ValueId placed = piece;
  if (place != slice_along(shape, 0, 0, 1, shape[0])) {
    TRY(placed, emit.add(SliceBackward{.slice = place, .input_shape = shape}, {piece}));
  }
  if (sum == kNoValue) return placed;
  return emit.binary(BinaryFn::add, sum, placed);
}

}  // namespace

Result<Gradients> rule(const Concat& op, const Site& site) {
  Gradients gradients = site.none();
  const Shape from = site.emit.shape(site.dy);
  const bool repeated = from[op.axis] != site.output_shape()[op.axis];
  std::int64_t start = 0;
  for (std::size_t i = 0; i < site.input_count(); ++i) {
    const std::int64_t size = site.input_shape(i)[op.axis];
    if (site.wants(i) && (repeated || size == from[op.axis])) {
      gradients[i] = site.dy;
    } else if (site.wants(i)) {
      TRY(gradients[i], site.emit.add(slice_along(from, op.axis, start, 1, size), {site.dy}));
    }
    start += size;
  }
  return gradients;
}

namespace {

// One axis of a reflecting or repeating Pad, undone: what was copied outwards is added to where it
// came from. `dy` is padded along `axis`, `size` long without.
Result<ValueId> unpadded_along(Emitter& emit, PadMode mode, ValueId dy, std::size_t axis,
                               std::int64_t size, std::int64_t begin, std::int64_t end) {
  const Shape padded = emit.shape(dy);
  Shape shape = padded;
  shape[axis] = size;
  TRY(ValueId sum, emit.add(slice_along(padded, axis, begin, 1, size), {dy}));
  struct Margin {
    std::int64_t start, width;    // in dy
    std::int64_t mirrored, edge;  // where its first number and its copies come from
  };
  for (const Margin& margin :
       {Margin{0, begin, begin, 0}, Margin{begin + size, end, size - 2, size - 1}}) {
    if (margin.width == 0) continue;
    TRY(ValueId piece, emit.add(slice_along(padded, axis, margin.start, 1, margin.width), {dy}));
    Slice place = slice_along(shape, axis, margin.mirrored, -1, margin.width);
    if (mode == PadMode::edge) {
      TRY(piece, emit.summed(piece, {axis}));
      place = slice_along(shape, axis, margin.edge, 1, 1);
    }
    TRY(sum, plus_placed(emit, sum, piece, place, shape));
  }
  return sum;
}

}  // namespace

Result<Gradients> rule(const Pad& op, const Site& site) {
  if (!site.wants(0)) return site.none();
  TRY(ValueId dx, site.full());
  if (op.mode == PadMode::constant) {
    Pad crop{.mode = PadMode::constant, .begin = op.begin, .end = op.end, .value = 0};
    for (auto* const pads : {&crop.begin, &crop.end})
      for (std::int64_t& pad : *pads) pad = -pad;
    TRY(dx, site.emit.add(crop, {dx}));
    return site.only(dx);
  }
  const Shape shape = site.input_shape(0);
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (op.begin[axis] == 0 && op.end[axis] == 0) continue;
    if (op.begin[axis] < 0 || op.end[axis] < 0)
      return site.no_derivative("its input: it crops and repeats at once");
    TRY(dx,
        unpadded_along(site.emit, op.mode, dx, axis, shape[axis], op.begin[axis], op.end[axis]));
  }
  return site.only(dx);
}

namespace {

// Gather of indices start, start + step, ...: a Slice; position is where in the list it begins.
struct Run {
  std::int64_t position, start, step, size;
};

inline constexpr std::size_t kMaxRuns = 64;

// Splits the indices greedily into runs of even, non-zero steps; nullopt where that takes more than
// kMaxRuns.
std::optional<std::vector<Run>> runs_of(const std::vector<std::int64_t>& indices) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < indices.size();) {
    if (runs.size() == kMaxRuns) return std::nullopt;
    std::size_t end = i + 1;
    std::int64_t step = 1;
    if (end < indices.size() && indices[end] != indices[i]) {
      step = indices[end] - indices[i];
      while (end < indices.size() && indices[end] - indices[end - 1] == step) ++end;
    }
    runs.push_back(
        {static_cast<std::int64_t>(i), indices[i], step, static_cast<std::int64_t>(end - i)});
    i = end;
  }
  return runs;
}

}  // namespace

Result<Gradients> rule(const Gather& op, const Site& site) {
  if (site.wants(1)) return site.no_derivative("its indices");
  if (!site.wants(0)) return site.none();
  Emitter& emit = site.emit;
  if (!emit.graph().is_constant(site.input(1)))
    return site.no_derivative("its data: the indices are no constant");
  const Shape shape = site.input_shape(0);
  std::vector<std::int64_t> indices = to_integers(emit.graph().value(site.input(1)));
  const std::int64_t size = shape[op.axis];
  for (std::int64_t& index : indices) {
    if (index < -size || index >= size)
      return fail(Errc::malformed, "index of Gather out of range (", index, ", ", size, ", '",
                  emit.graph().value(site.output()).name, "')");
    if (index < 0) index += size;
  }
  const auto runs = runs_of(indices);
  if (!runs) return site.no_derivative("its data: the indices fall into more than 64 even runs");

  // The indices' own shape flattened into the one axis they replace.
  TRY(const ValueId dy, site.full());
  Shape flat = shape;
  flat[op.axis] = static_cast<std::int64_t>(indices.size());
  TRY(const ValueId list, emit.reshaped(dy, flat));
  ValueId sum = kNoValue;
  for (const Run& run : *runs) {
    ValueId piece = list;
    if (runs->size() > 1) {
      TRY(piece, emit.add(slice_along(flat, op.axis, run.position, 1, run.size), {list}));
    }
    const Slice place = slice_along(shape, op.axis, run.start, run.step, run.size);
    TRY(sum, plus_placed(emit, sum, piece, place, shape));
  }
  return sum == kNoValue ? site.none() : site.only(sum);
}

}  // namespace dermlens::grad
