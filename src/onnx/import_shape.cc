// Operators that move or repeat elements without computing: another shape, another order.
#include <algorithm>
#include <numeric>

#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using graph::Shape;
using graph::ValueId;

Bytes product(Shape::const_iterator from, Shape::const_iterator to) {
  return std::accumulate(from, to, Bytes{1},
                         [](Bytes a, std::int64_t b) { return a * static_cast<Bytes>(b); });
}

// Ends a node whose result is x in another shape. A constant is only described anew: its bytes
// stay where they are.
Result<void> finish_reshape(NodeImport& node, ValueId x, Shape shape) {
  if (shape == node.shape(x)) return node.alias(x);
  TRY(const Bytes elements, graph::count(shape));
  if (elements != node.type(x).elements())
    return fail(Errc::malformed, "cannot reshape ", to_string(node.type(x)), " to ",
                graph::to_string(shape));
  const graph::Value& value = node.scope().graph().value(x);
  if (value.constant && value.constant->scale.size() <= 1 &&
      value.constant->zero_point.size() <= 1) {
    TypedConstant same{{value.type.dtype, std::move(shape)}, *value.constant};
    same.constant.axis = 0;
    return node.finish(std::move(same));
  }
  return node.finish(graph::Reshape{std::move(shape)}, {x});
}

Result<void> import_reshape(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 2));
  TRY(const ValueId x, node.input(0));
  TRY(Shape shape, node.constant_integers(1, "shape"));
  TRY(const bool allow_zero, node.flag("allowzero", false));
  if (shape.size() > graph::kMaxRank)
    return fail(Errc::too_large, "dimensions of the new shape (", shape.size(), ", ",
                graph::kMaxRank, ")");
  const Shape& old = node.shape(x);
  Bytes known = 1;
  std::int64_t* unknown = nullptr;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !allow_zero) {
      if (i >= old.size())
        return fail(Errc::malformed, "dimension ", i, " is to be copied from ",
                    graph::to_string(old));
      shape[i] = old[i];
    }
    if (shape[i] < -1 || (shape[i] == -1 && unknown))
      return fail(Errc::malformed, "new shape ", graph::to_string(shape));
    if (shape[i] == -1) {
      unknown = &shape[i];
    } else {
      TRY(known, checked_mul(known, static_cast<Bytes>(shape[i])));
    }
  }
  if (unknown) {
    const Bytes elements = node.type(x).elements();
    if (known == 0 || elements % known != 0)
      return fail(Errc::malformed, "cannot reshape ", to_string(node.type(x)), " to ",
                  graph::to_string(shape));
    TRY(*unknown, checked_cast<std::int64_t>(elements / known));
  }
  return finish_reshape(node, x, std::move(shape));
}

Result<void> import_flatten(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  const Shape& shape = node.shape(x);
  const auto rank = static_cast<std::int64_t>(shape.size());
  TRY(std::int64_t axis, node.integer("axis", 1));
  // Unlike elsewhere, the rank itself is a valid axis.
  if (axis < -rank || axis > rank)
    return fail(Errc::malformed, "axis out of range (", axis, ", ", rank, ")");
  if (axis < 0) axis += rank;
  const auto middle = shape.begin() + axis;
  return finish_reshape(node, x,
                        {static_cast<std::int64_t>(product(shape.begin(), middle)),
                         static_cast<std::int64_t>(product(middle, shape.end()))});
}

// Which of `rank` axes are named; each once.
Result<std::vector<bool>> marked_axes(const std::vector<std::int64_t>& axes, std::size_t rank) {
  std::vector<bool> marked(rank, false);
  for (const std::int64_t given : axes) {
    TRY(const std::size_t axis, graph::resolve_axis(given, rank));
    if (marked[axis]) return fail(Errc::malformed, "axis ", axis, " is named twice");
    marked[axis] = true;
  }
  return marked;
}

Result<void> import_squeeze(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 2));
  TRY(const ValueId x, node.input(0));
  TRY(const auto axes, node.integers_from("axes", 1));
  const Shape& old = node.shape(x);
  TRY(const auto marked, marked_axes(axes.value_or(std::vector<std::int64_t>{}), old.size()));
  Shape shape;
  for (std::size_t i = 0; i < old.size(); ++i) {
    if (marked[i] && old[i] != 1)
      return fail(Errc::malformed, "axis ", i, " of ", graph::to_string(old), " is not 1");
    const bool drop = axes ? marked[i] : old[i] == 1;
    if (!drop) shape.push_back(old[i]);
  }
  return finish_reshape(node, x, std::move(shape));
}

Result<void> import_unsqueeze(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 2));
  TRY(const ValueId x, node.input(0));
  TRY(const auto axes, node.integers_from("axes", 1));
  if (!axes) return fail(Errc::malformed, "axes are missing");
  const Shape& old = node.shape(x);
  const std::size_t rank = old.size() + axes->size();
  if (rank > graph::kMaxRank)
    return fail(Errc::too_large, "dimensions (", rank, ", ", graph::kMaxRank, ")");
  TRY(const auto marked, marked_axes(*axes, rank));
  Shape shape;
  auto next = old.begin();
  for (std::size_t i = 0; i < rank; ++i) shape.push_back(marked[i] ? 1 : *next++);
  return finish_reshape(node, x, std::move(shape));
}

Result<void> finish_transpose(NodeImport& node, ValueId x, std::vector<std::size_t> permutation) {
  if (std::ranges::is_sorted(permutation)) return node.alias(x);
  // Where only axes of one element move, the order of the elements stays.
  std::vector<std::size_t> moving;
  Shape shape;
  for (const std::size_t axis : permutation) {
    if (node.shape(x)[axis] != 1) moving.push_back(axis);
    shape.push_back(node.shape(x)[axis]);
  }
  if (std::ranges::is_sorted(moving)) return finish_reshape(node, x, std::move(shape));
  return node.finish(graph::Transpose{std::move(permutation)}, {x});
}

Result<void> import_transpose(NodeImport& node) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const ValueId x, node.input(0));
  const std::size_t rank = node.shape(x).size();
  TRY(const auto given, node.integers("perm"));
  std::vector<std::size_t> permutation(rank);
  std::iota(permutation.rbegin(), permutation.rend(), std::size_t{0});
  if (given) {
    TRY(const auto marked, marked_axes(*given, rank));
    if (given->size() != rank || std::ranges::find(marked, false) != marked.end())
      return fail(Errc::malformed, "perm ", graph::to_string(*given),
                  " is no permutation of the axes of ", to_string(node.type(x)));
    for (std::size_t i = 0; i < rank; ++i) {
      TRY(permutation[i], graph::resolve_axis((*given)[i], rank));
    }
  }
  return finish_transpose(node, x, std::move(permutation));
}

Result<void> import_expand(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 2));
  TRY(const ValueId x, node.input(0));
  TRY(const Shape wanted, node.constant_integers(1, "shape"));
  TRY_VOID(graph::count(wanted));
  TRY(Shape shape, graph::broadcast(node.shape(x), wanted));
  if (shape == node.shape(x)) return node.alias(x);
  return node.finish(graph::Expand{std::move(shape)}, {x});
}

// One axis after the other: [before, 1, from the axis on] is expanded in the middle.
Result<void> import_tile(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 2));
  TRY(ValueId x, node.input(0));
  TRY(const auto repeats, node.constant_integers(1, "repeats"));
  Shape shape = node.shape(x);
  if (repeats.size() != shape.size())
    return fail(Errc::malformed, "number of repeats (", repeats.size(), ", ", shape.size(), ")");
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t times = repeats[axis];
    if (times < 0) return fail(Errc::malformed, "negative repeats (", times, ")");
    if (times == 1) continue;
    const auto middle = shape.begin() + static_cast<std::ptrdiff_t>(axis);
    const auto before = static_cast<std::int64_t>(product(shape.begin(), middle));
    const auto rest = static_cast<std::int64_t>(product(middle, shape.end()));
    TRY(x, node.emit(graph::Reshape{{before, 1, rest}}, {x}));
    TRY(x, node.emit(graph::Expand{{before, times, rest}}, {x}));
    if (__builtin_mul_overflow(shape[axis], times, &shape[axis]))
      return fail(Errc::too_large, "axis ", axis, " overflows");
    TRY_VOID(graph::count(shape));
  }
  return finish_reshape(node, x, std::move(shape));
}

Result<std::int64_t> read_block(NodeImport& node, ValueId x) {
  TRY_VOID(node.check_inputs(1, 1));
  TRY(const std::int64_t block, node.integer("blocksize", 0));
  if (node.shape(x).size() != 4 || block < 1 || block > 65'536)
    return fail(Errc::malformed, "blocksize ", block, " on ", to_string(node.type(x)));
  return block;
}

Result<void> import_depth_to_space(NodeImport& node) {
  TRY(const ValueId x, node.input(0));
  TRY(const std::int64_t block, read_block(node, x));
  TRY(const std::string_view mode, node.text("mode", "DCR"));
  if (mode != "DCR" && mode != "CRD") return fail(Errc::unsupported, "mode '", mode, "'");
  const Shape s = node.shape(x);
  if (s[1] % (block * block) != 0)
    return fail(Errc::malformed, "blocksize ", block, " does not divide the channels of ",
                to_string(node.type(x)));
  const std::int64_t depth = s[1] / (block * block);
  const bool depth_last = mode == "DCR";
  Shape split = depth_last ? Shape{s[0], block, block, depth, s[2], s[3]}
                           : Shape{s[0], depth, block, block, s[2], s[3]};
  std::vector<std::size_t> order = depth_last ? std::vector<std::size_t>{0, 3, 4, 1, 5, 2}
                                              : std::vector<std::size_t>{0, 1, 4, 2, 5, 3};
  TRY(const ValueId blocks, node.emit(graph::Reshape{std::move(split)}, {x}));
  TRY(const ValueId moved, node.emit(graph::Transpose{std::move(order)}, {blocks}));
  return node.finish(graph::Reshape{{s[0], depth, s[2] * block, s[3] * block}}, {moved});
}

Result<void> import_space_to_depth(NodeImport& node) {
  TRY(const ValueId x, node.input(0));
  TRY(const std::int64_t block, read_block(node, x));
  const Shape s = node.shape(x);
  if (s[2] % block != 0 || s[3] % block != 0)
    return fail(Errc::malformed, "blocksize ", block, " does not divide ", to_string(node.type(x)));
  const std::int64_t height = s[2] / block, width = s[3] / block;
  TRY(const ValueId blocks,
      node.emit(graph::Reshape{{s[0], s[1], height, block, width, block}}, {x}));
  TRY(const ValueId moved, node.emit(graph::Transpose{{0, 3, 5, 1, 2, 4}}, {blocks}));
  return node.finish(graph::Reshape{{s[0], s[1] * block * block, height, width}}, {moved});
}

constexpr Handler kHandlers[] = {
    {"DepthToSpace", 1, import_depth_to_space},
    {"Expand", 8, import_expand},
    {"Flatten", 1, import_flatten},
    {"Reshape", 5, import_reshape},
    {"SpaceToDepth", 1, import_space_to_depth},
    {"Squeeze", 1, import_squeeze},
    {"Tile", 6, import_tile},
    {"Transpose", 1, import_transpose},
    {"Unsqueeze", 1, import_unsqueeze},
};

}  // namespace

std::span<const Handler> shape_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
