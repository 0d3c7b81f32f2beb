// Operators that take tensors apart and put them together: slices, splits, gathers, joins, pads.
#include <algorithm>

#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using graph::Shape;
using graph::ValueId;

graph::Slice whole(const Shape& shape) {
  return {Shape(shape.size(), 0), Shape(shape.size(), 1), shape};
}

struct SliceArguments {
  std::vector<std::int64_t> starts, ends, axes, steps;
};

Result<SliceArguments> read_slice(NodeImport& node) {
  SliceArguments arguments;
  std::optional<std::vector<std::int64_t>> axes, steps;
  if (node.opset() < 10) {
    TRY_VOID(node.check_inputs(1, 1));
    TRY(const auto starts, node.integers("starts"));
    TRY(const auto ends, node.integers("ends"));
    TRY(axes, node.integers("axes"));
    if (!starts || !ends) return fail(Errc::malformed, "starts or ends are missing");
    arguments.starts = *starts;
    arguments.ends = *ends;
  } else {
    TRY_VOID(node.check_inputs(3, 5));
    TRY(arguments.starts, node.constant_integers(1, "starts"));
    TRY(arguments.ends, node.constant_integers(2, "ends"));
    if (node.has_input(3)) {
      TRY(axes, node.constant_integers(3, "axes"));
    }
    if (node.has_input(4)) {
      TRY(steps, node.constant_integers(4, "steps"));
    }
  }
  const std::size_t count = arguments.starts.size();
  if (!axes) {
    axes.emplace();
    for (std::size_t i = 0; i < count; ++i) axes->push_back(static_cast<std::int64_t>(i));
  }
  arguments.axes = *axes;
  arguments.steps = steps.value_or(std::vector<std::int64_t>(count, 1));
  if (arguments.ends.size() != count || arguments.axes.size() != count ||
      arguments.steps.size() != count)
    return fail(Errc::malformed, "starts, ends, axes and steps differ in length");
  return arguments;
}

// numpy's clamping of start:end:step to a dimension.
struct Range {
  std::int64_t start, size;
};
Range clamp_range(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t dimension) {
  const auto wrap = [&](std::int64_t index) { return index < 0 ? index + dimension : index; };
  const bool back = step < 0;
  const std::int64_t low = back ? -1 : 0, high = back ? dimension - 1 : dimension;
  start = std::clamp(wrap(start), back ? std::int64_t{0} : low, std::max(high, std::int64_t{0}));
  end = std::clamp(wrap(end), low, std::max(high, low));
  // Far steps reach one element; cutting them down keeps the arithmetic small.
  step = std::clamp(step, -dimension - 1, dimension + 1);
  const std::int64_t way = back ? start - end : end - start;
  if (way <= 0 || dimension == 0) return {0, 0};
  const std::int64_t stride = back ? -step : step;
  return {start, (way + stride - 1) / stride};
}

Result<void> import_slice(NodeImport& node) {
  TRY(const SliceArguments arguments, read_slice(node));
  TRY(const ValueId x, node.input(0));
  const Shape& shape = node.shape(x);
  graph::Slice slice = whole(shape);
  std::vector<bool> seen(shape.size(), false);
  for (std::size_t i = 0; i < arguments.axes.size(); ++i) {
    TRY(const std::size_t axis, graph::resolve_axis(arguments.axes[i], shape.size()));
    if (seen[axis]) return fail(Errc::malformed, "axis ", axis, " is named twice");
    seen[axis] = true;
    const std::int64_t step = arguments.steps[i];
    if (step == 0) return fail(Errc::malformed, "step 0 along axis ", axis);
    const Range range = clamp_range(arguments.starts[i], arguments.ends[i], step, shape[axis]);
    slice.starts[axis] = range.start;
    slice.sizes[axis] = range.size;
    slice.steps[axis] = range.size > 1 ? step : 1;
  }
  if (slice == whole(shape)) return node.alias(x);
  return node.finish(std::move(slice), {x});
}

// The sizes of the parts: given, or equal ones, the last of which may be smaller from opset 18 on.
Result<std::vector<std::int64_t>> split_sizes(NodeImport& node, std::int64_t dimension) {
  const auto parts = static_cast<std::int64_t>(node.output_count());
  if (parts == 0) return fail(Errc::malformed, "no outputs");
  TRY(const std::int64_t said, node.integer("num_outputs", parts));
  if (said != parts)
    return fail(Errc::malformed, "num_outputs is not the number of outputs (", said, ", ", parts,
                ")");
  TRY(const auto given, node.integers_from("split", 1));
  std::vector<std::int64_t> sizes;
  if (given) {
    sizes = *given;
  } else {
    if (node.opset() < 18 && dimension % parts != 0)
      return fail(Errc::malformed, "cannot split evenly (", dimension, ", ", parts, ")");
    const std::int64_t size = (dimension + parts - 1) / parts;
    std::int64_t left = dimension;
    for (std::int64_t i = 0; i < parts; ++i) {
      sizes.push_back(std::min(size, left));
      left -= sizes.back();
    }
  }
  std::int64_t left = dimension;
  for (const std::int64_t size : sizes) {
    if (size < 0 || size > left)
      return fail(Errc::malformed, "parts do not add up to the axis (", dimension, ")");
    left -= size;
  }
  if (left != 0 || std::ssize(sizes) != parts)
    return fail(Errc::malformed, "parts do not add up to the axis (", dimension, ")");
  return sizes;
}

Result<void> import_split(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 2));
  TRY(const ValueId x, node.input(0));
  TRY(const std::int64_t given, node.integer("axis", 0));
  // A copy: values move when slices are added.
  const Shape shape = node.shape(x);
  TRY(const std::size_t axis, graph::resolve_axis(given, shape.size()));
  TRY(const auto sizes, split_sizes(node, shape[axis]));
  std::int64_t start = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    graph::Slice slice = whole(shape);
    slice.starts[axis] = sizes[i] == 0 ? 0 : start;
    slice.sizes[axis] = sizes[i];
    start += sizes[i];
    if (!node.has_output(i)) continue;
    if (slice == whole(shape)) {
      TRY_VOID(node.alias(x, i));
    } else {
      TRY_VOID(node.finish(std::move(slice), {x}, i));
    }
  }
  return {};
}

Result<void> import_concat(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, Limits::node_inputs));
  if (!node.has_attribute("axis")) return fail(Errc::malformed, "axis is missing");
  TRY(const std::int64_t given, node.integer("axis", 0));
  std::vector<ValueId> inputs;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    TRY(inputs.emplace_back(), node.input(i));
  }
  TRY(const std::size_t axis, graph::resolve_axis(given, node.shape(inputs[0]).size()));
  if (inputs.size() == 1) return node.alias(inputs[0]);
  return node.finish(graph::Concat{axis}, std::move(inputs));
}

// Indices known when the model is read are made positive and checked here; one of them is a slice.
Result<void> import_gather(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 2));
  TRY(const ValueId data, node.input(0));
  TRY(ValueId indices, node.input(1));
  TRY(const std::int64_t given, node.integer("axis", 0));
  const Shape shape = node.shape(data);
  TRY(const std::size_t axis, graph::resolve_axis(given, shape.size()));
  if (graph::is_float(node.type(indices).dtype))
    return fail(Errc::malformed, "indices are no integers");
  if (!node.is_constant(indices)) {
    if (node.type(indices).dtype != graph::DType::i64) {
      TRY(indices, node.emit(graph::Cast{graph::DType::i64}, {indices}));
    }
    return node.finish(graph::Gather{axis}, {data, indices});
  }
  TRY(std::vector<std::int64_t> numbers, node.constant_integers(1, "indices"));
  for (std::int64_t& index : numbers) {
    if (index < -shape[axis] || index >= shape[axis])
      return fail(Errc::malformed, "index out of range (", index, ", ", shape[axis], ")");
    if (index < 0) index += shape[axis];
  }
  const Shape indices_shape = node.shape(indices);
  if (numbers.size() == 1 && indices_shape.size() <= 1) {
    graph::Slice slice = whole(shape);
    slice.starts[axis] = numbers[0];
    slice.sizes[axis] = 1;
    if (indices_shape.size() == 1) return node.finish(std::move(slice), {data});
    TRY(const ValueId row, node.emit(std::move(slice), {data}));
    Shape rest = shape;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(axis));
    return node.finish(graph::Reshape{std::move(rest)}, {row});
  }
  TRY(indices, node.constant(own_integers(graph::DType::i64, indices_shape, numbers)));
  return node.finish(graph::Gather{axis}, {data, indices});
}

struct PadArguments {
  std::vector<std::int64_t> pads;
  float value = 0;
};

Result<PadArguments> read_pad(NodeImport& node) {
  PadArguments arguments;
  if (node.opset() < 11) {
    TRY_VOID(node.check_inputs(1, 1));
    TRY(const auto pads, node.integers("pads"));
    if (!pads) return fail(Errc::malformed, "pads are missing");
    arguments.pads = *pads;
    TRY(arguments.value, node.number("value", 0.0f));
    return arguments;
  }
  TRY_VOID(node.check_inputs(2, node.opset() < 18 ? 3 : 4));
  TRY(arguments.pads, node.constant_integers(1, "pads"));
  if (node.has_input(2)) {
    TRY(arguments.value, node.constant_number(2, "constant_value"));
  }
  return arguments;
}

Result<void> import_pad(NodeImport& node) {
  TRY(const PadArguments arguments, read_pad(node));
  TRY(const ValueId x, node.input(0));
  TRY(const std::string_view mode, node.text("mode", "constant"));
  const std::size_t rank = node.shape(x).size();
  graph::Pad pad;
  if (mode == "reflect")
    pad.mode = graph::PadMode::reflect;
  else if (mode == "edge")
    pad.mode = graph::PadMode::edge;
  else if (mode != "constant")
    return fail(Errc::unsupported, "mode '", mode, "'");
  std::vector<std::int64_t> axes;
  if (node.has_input(3)) {
    TRY(axes, node.constant_integers(3, "axes"));
  } else {
    for (std::size_t i = 0; i < rank; ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (arguments.pads.size() != 2 * axes.size())
    return fail(Errc::malformed, "pads have another number of entries than the axes ask for (",
                arguments.pads.size(), ", ", 2 * axes.size(), ")");
  pad.begin = pad.end = Shape(rank, 0);
  pad.value = arguments.value;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    TRY(const std::size_t axis, graph::resolve_axis(axes[i], rank));
    pad.begin[axis] = arguments.pads[i];
    pad.end[axis] = arguments.pads[axes.size() + i];
  }
  const auto is_zero = [](std::int64_t amount) { return amount == 0; };
  if (std::ranges::all_of(arguments.pads, is_zero)) return node.alias(x);
  return node.finish(std::move(pad), {x});
}

constexpr Handler kHandlers[] = {
    {"Concat", 4, import_concat}, {"Gather", 1, import_gather}, {"Pad", 2, import_pad},
    {"Slice", 1, import_slice},   {"Split", 2, import_split},
};

}  // namespace

std::span<const Handler> slice_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
