// Reductions over axes, with the axes as attribute (older opsets) or as constant input.
#include <algorithm>
#include <numeric>

#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using graph::Binary;
using graph::BinaryFn;
using graph::Reduce;
using graph::ReduceFn;
using graph::Unary;
using graph::UnaryFn;
using graph::ValueId;

struct Reduction {
  ValueId x = graph::kNoValue;
  std::vector<std::size_t> axes;
  bool keep_dims = true;
  bool does_nothing = false;
};

Result<Reduction> read_reduction(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 2));
  Reduction reduction;
  TRY(reduction.x, node.input(0));
  TRY(reduction.keep_dims, node.flag("keepdims", true));
  TRY(const auto given, node.integers_from("axes", 1));
  TRY(const bool noop, node.flag("noop_with_empty_axes", false));
  const std::size_t rank = node.shape(reduction.x).size();
  if (!given || given->empty()) {
    reduction.axes.resize(rank);
    std::iota(reduction.axes.begin(), reduction.axes.end(), std::size_t{0});
    reduction.does_nothing = noop;
    return reduction;
  }
  for (const std::int64_t axis : *given) {
    TRY(reduction.axes.emplace_back(), graph::resolve_axis(axis, rank));
  }
  std::ranges::sort(reduction.axes);
  if (std::ranges::adjacent_find(reduction.axes) != reduction.axes.end())
    return fail(Errc::malformed, "an axis is named twice");
  return reduction;
}

template <ReduceFn fn>
Result<void> import_reduce(NodeImport& node) {
  TRY(const Reduction r, read_reduction(node));
  if (r.does_nothing) return node.alias(r.x);
  return node.finish(Reduce{fn, r.axes, r.keep_dims}, {r.x});
}

Result<void> import_l1(NodeImport& node) {
  TRY(const Reduction r, read_reduction(node));
  if (r.does_nothing) return fail(Errc::unsupported, "noop_with_empty_axes");
  TRY(const ValueId magnitude, node.emit(Unary{UnaryFn::abs}, {r.x}));
  return node.finish(Reduce{ReduceFn::sum, r.axes, r.keep_dims}, {magnitude});
}

Result<void> import_sum_square(NodeImport& node) {
  TRY(const Reduction r, read_reduction(node));
  if (r.does_nothing) return fail(Errc::unsupported, "noop_with_empty_axes");
  TRY(const ValueId square, node.emit(Binary{BinaryFn::mul, {}}, {r.x, r.x}));
  return node.finish(Reduce{ReduceFn::sum, r.axes, r.keep_dims}, {square});
}

Result<void> import_l2(NodeImport& node) {
  TRY(const Reduction r, read_reduction(node));
  if (r.does_nothing) return fail(Errc::unsupported, "noop_with_empty_axes");
  TRY(const ValueId square, node.emit(Binary{BinaryFn::mul, {}}, {r.x, r.x}));
  TRY(const ValueId sum, node.emit(Reduce{ReduceFn::sum, r.axes, r.keep_dims}, {square}));
  return node.finish(Unary{UnaryFn::sqrt}, {sum});
}

Result<void> import_log_sum(NodeImport& node) {
  TRY(const Reduction r, read_reduction(node));
  if (r.does_nothing) return fail(Errc::unsupported, "noop_with_empty_axes");
  TRY(const ValueId sum, node.emit(Reduce{ReduceFn::sum, r.axes, r.keep_dims}, {r.x}));
  return node.finish(Unary{UnaryFn::log}, {sum});
}

// max + log(sum(exp(x - max))): the exponentials cannot overflow.
Result<void> import_log_sum_exp(NodeImport& node) {
  TRY(const Reduction r, read_reduction(node));
  if (r.does_nothing) return fail(Errc::unsupported, "noop_with_empty_axes");
  TRY(const ValueId most, node.emit(Reduce{ReduceFn::max, r.axes, true}, {r.x}));
  TRY(const ValueId below, node.emit(Binary{BinaryFn::sub, {}}, {r.x, most}));
  TRY(const ValueId exponential, node.emit(Unary{UnaryFn::exp}, {below}));
  TRY(const ValueId sum, node.emit(Reduce{ReduceFn::sum, r.axes, true}, {exponential}));
  TRY(const ValueId logarithm, node.emit(Unary{UnaryFn::log}, {sum}));
  if (r.keep_dims) return node.finish(Binary{BinaryFn::add, {}}, {logarithm, most});
  TRY(const ValueId kept, node.emit(Binary{BinaryFn::add, {}}, {logarithm, most}));
  // Each of these axes has one element left.
  return node.finish(Reduce{ReduceFn::sum, r.axes, false}, {kept});
}

constexpr Handler kHandlers[] = {
    {"ReduceL1", 1, import_l1},
    {"ReduceL2", 1, import_l2},
    {"ReduceLogSum", 1, import_log_sum},
    {"ReduceLogSumExp", 1, import_log_sum_exp},
    {"ReduceMax", 1, import_reduce<ReduceFn::max>},
    {"ReduceMean", 1, import_reduce<ReduceFn::mean>},
    {"ReduceMin", 1, import_reduce<ReduceFn::min>},
    {"ReduceProd", 1, import_reduce<ReduceFn::prod>},
    {"ReduceSum", 1, import_reduce<ReduceFn::sum>},
    {"ReduceSumSquare", 1, import_sum_square},
};

}  // namespace

std::span<const Handler> reduce_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
