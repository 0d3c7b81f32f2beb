// Slice, its gradient, Pad, Expand and Gather: each element of the result is one of the input's, or
// a filling. Which one is said in a few numbers an axis, whatever the axis' length, so that a node
// of a hundred bytes never costs more than its result; only Gather keeps its list of indices.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/op.h"
#include "kernels/lowered.h"

namespace dermlens::kernels {

// Along one axis: the input's elements from, from + step, ..., with `gap` fillings between two of
// them; or, where `from` is negative, `count` fillings.
struct Run {
  std::int64_t from = 0, step = 1, count = 0, gap = 0;
};
using Runs = std::vector<Run>;

Runs whole_axis(std::int64_t size);
Runs repeated(std::int64_t times);  // the only element of an axis
Runs sliced(const graph::Slice& slice, std::size_t axis);
// The gradient of that: the elements at their old places among zeros.
Runs unsliced(const graph::Slice& slice, std::size_t axis, std::int64_t input_size);
Runs padded(graph::PadMode mode, std::int64_t size, std::int64_t begin, std::int64_t end);

// Row-major fp32, the input seen as `input_shape`. Arguments: in, out.
struct IndexMap {
  graph::Shape input_shape;
  std::vector<Runs> axes;
  float fill = 0;
};
Native index_map(IndexMap map);
// Broadcasts `from` to `to`.
IndexMap expansion(const graph::Shape& from, const graph::Shape& to);

// out[o, k, i] = in[o, indices[k], i], the input being [outer, size, inner]. Arguments: in, out.
struct GatherRows {
  Bytes outer = 1, size = 1, inner = 1;
  std::vector<std::uint32_t> indices;  // below `size`, which is at most graph::kMaxElements
};
Native gather(GatherRows rows);

}  // namespace dermlens::kernels
