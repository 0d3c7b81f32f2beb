// Convolution and pooling.
#include "onnx/window.h"

namespace dermlens::onnx {
namespace {

using graph::PoolKind;
using graph::Shape;
using graph::ValueId;

Shape sum(const Shape& a, const Shape& b) {
  Shape result = a;
  for (std::size_t i = 0; i < result.size(); ++i) result[i] += b[i];
  return result;
}

Result<void> import_conv(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 3));
  TRY(const ValueId x, node.input(0));
  TRY(const ValueId weights, node.input(1));
  TRY(const ValueId bias, node.optional_input(2));
  TRY(graph::Conv conv, read_conv(node, x, weights));
  return node.finish(std::move(conv), {x, weights, bias});
}

Result<Window> read_pool_window(NodeImport& node, ValueId x) {
  TRY(const auto kernel, node.integers("kernel_shape"));
  if (!kernel) return fail(Errc::malformed, "kernel_shape is missing");
  return read_window(node, node.shape(x), *kernel, WindowKind::pool);
}

graph::Pool pool_of(PoolKind kind, const Window& window) {
  return {{kind, window.kernel, window.strides, window.dilations, window.pads_begin,
           sum(window.pads_end, window.extra_end)}};
}

Result<void> import_max_pool(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  TRY(const Window window, read_pool_window(node, x));
  // The order matters to the indices only, and those are not given.
  node.ignore("storage_order");
  node.leave_out(1, "output Indices");
  return node.finish(pool_of(PoolKind::max, window), {x});
}

Result<void> import_average_pool(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  if (node.has_attribute("dilations")) return fail(Errc::unsupported, "attribute 'dilations'");
  TRY(ValueId x, node.input(0));
  TRY(Window window, read_pool_window(node, x));
  TRY(const bool include_pad, node.flag("count_include_pad", false));
  if (!include_pad) return node.finish(pool_of(PoolKind::average_exclude_pad, window), {x});
  if (!window.has_extra()) return node.finish(pool_of(PoolKind::average_include_pad, window), {x});
  // What ceil_mode adds must not count, what pads add must: pad first, then exclude the rest.
  graph::Pad pad;
  pad.begin = pad.end = Shape(2, 0);
  pad.begin.insert(pad.begin.end(), window.pads_begin.begin(), window.pads_begin.end());
  pad.end.insert(pad.end.end(), window.pads_end.begin(), window.pads_end.end());
  TRY(x, node.emit(std::move(pad), {x}));
  window.pads_begin.assign(window.kernel.size(), 0);
  window.pads_end.assign(window.kernel.size(), 0);
  return node.finish(pool_of(PoolKind::average_exclude_pad, window), {x});
}

template <graph::ReduceFn fn>
Result<void> import_global_pool(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  graph::Reduce reduce{fn, {}, true};
  if (node.shape(x).size() < 3)
    return fail(Errc::malformed, "input ", to_string(node.type(x)), " has no spatial dimension");
  for (std::size_t axis = 2; axis < node.shape(x).size(); ++axis) reduce.axes.push_back(axis);
  return node.finish(std::move(reduce), {x});
}

constexpr Handler kHandlers[] = {
    {"AveragePool", 7, import_average_pool},
    {"Conv", 1, import_conv},
    {"GlobalAveragePool", 1, import_global_pool<graph::ReduceFn::mean>},
    {"GlobalMaxPool", 1, import_global_pool<graph::ReduceFn::max>},
    {"MaxPool", 8, import_max_pool},
};

}  // namespace

Result<graph::Conv> read_conv(NodeImport& node, ValueId x, ValueId weights) {
  const Shape& weights_shape = node.shape(weights);
  if (weights_shape.size() < 3)
    return fail(Errc::malformed, "weights of rank ", weights_shape.size(), " (3 at least)");
  Shape kernel(weights_shape.begin() + 2, weights_shape.end());
  TRY(const auto said, node.integers("kernel_shape"));
  if (said && *said != kernel)
    return fail(Errc::malformed, "kernel_shape ", graph::to_string(*said),
                " is not that of the weights ", graph::to_string(weights_shape));
  TRY(Window window, read_window(node, node.shape(x), std::move(kernel), WindowKind::conv));
  graph::Conv conv;
  TRY(conv.geometry.groups, node.integer("group", 1));
  conv.geometry.strides = std::move(window.strides);
  conv.geometry.dilations = std::move(window.dilations);
  conv.geometry.pads_begin = std::move(window.pads_begin);
  conv.geometry.pads_end = std::move(window.pads_end);
  return conv;
}

std::span<const Handler> conv_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
