// The runs of each operator, and the loop over them. Shapes were checked when the graph was built.
#include "kernels/index_map.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace dermlens::kernels {
namespace {

void add(Runs& runs, const Run& run) {
  if (run.count > 0) runs.push_back(run);
}

Run filling(std::int64_t count) { return {-1, 0, count, 0}; }

std::int64_t length(const Runs& runs) {
  std::int64_t total = 0;
  for (const Run& run : runs) total += run.count + (run.count - 1) * run.gap;
  return total;
}

// Walks the output in its order; the innermost axis is one loop a run.
struct IndexWalk {
  const IndexMap& map;
  const std::vector<std::int64_t>& strides;   // of the input, by axis
  const std::vector<std::int64_t>& elements;  // of the output under one index of the axis
  const float* input;
  float* output;

  void fill(std::int64_t count) { output = std::fill_n(output, count, map.fill); }

  void copy(const Run& run, const float* from, std::int64_t stride) {
    if (run.gap == 0 && run.step * stride == 1) {
      output = std::copy_n(from, run.count, output);
      return;
    }
    for (std::int64_t i = 0; i < run.count; ++i, from += run.step * stride) {
      if (i > 0 && run.gap > 0) fill(run.gap);
      *output++ = *from;
    }
  }

  void walk(std::size_t axis, std::int64_t base) {
    const std::int64_t stride = strides[axis];
    for (const Run& run : map.axes[axis]) {
      if (run.from < 0) {
        fill(run.count * elements[axis]);
      } else if (axis + 1 == map.axes.size()) {
        copy(run, input + base + run.from * stride, stride);
      } else {
        for (std::int64_t i = 0; i < run.count; ++i) {
          if (i > 0 && run.gap > 0) fill(run.gap * elements[axis]);
          walk(axis + 1, base + (run.from + i * run.step) * stride);
        }
      }
    }
  }
};

}  // namespace

Runs whole_axis(std::int64_t size) { return {{0, 1, size, 0}}; }

Runs repeated(std::int64_t times) { return {{0, 0, times, 0}}; }

Runs sliced(const graph::Slice& slice, std::size_t axis) {
  return {{slice.starts[axis], slice.steps[axis], slice.sizes[axis], 0}};
}

Runs unsliced(const graph::Slice& slice, std::size_t axis, std::int64_t input_size) {
  const std::int64_t start = slice.starts[axis], step = slice.steps[axis], n = slice.sizes[axis];
  const std::int64_t last = start + (n - 1) * step;
  const Run elements = step > 0 ? Run{0, 1, n, step - 1} : Run{n - 1, -1, n, -step - 1};
  Runs runs;
  add(runs, filling(std::min(start, last)));
  add(runs, elements);
  add(runs, filling(input_size - 1 - std::max(start, last)));
  return runs;
}

Runs padded(graph::PadMode mode, std::int64_t size, std::int64_t begin, std::int64_t end) {
  const std::int64_t before = std::max<std::int64_t>(begin, 0);
  const std::int64_t behind = std::max<std::int64_t>(end, 0);
  const std::int64_t first = std::max<std::int64_t>(-begin, 0);
  Run front = filling(before), back = filling(behind);
  if (mode == graph::PadMode::edge) {
    front = {0, 0, before, 0};
    back = {size - 1, 0, behind, 0};
  } else if (mode == graph::PadMode::reflect) {
    front = {before, -1, before, 0};
    back = {size - 2, -1, behind, 0};
  }
  Runs runs;
  add(runs, front);
  add(runs, {first, 1, size - first - std::max<std::int64_t>(-end, 0), 0});
  add(runs, back);
  return runs;
}

IndexMap expansion(const graph::Shape& from, const graph::Shape& to) {
  graph::Shape padded_from(to.size() - from.size(), 1);
  padded_from.insert(padded_from.end(), from.begin(), from.end());
  IndexMap map{std::move(padded_from), {}, 0};
  for (std::size_t i = 0; i < to.size(); ++i)
    map.axes.push_back(map.input_shape[i] == 1 ? repeated(to[i]) : whole_axis(to[i]));
  return map;
}

Native index_map(IndexMap map) {
  const std::size_t rank = map.axes.size();
  std::vector<std::int64_t> strides(rank, 1), elements(rank, 1);
  for (std::size_t i = rank; i-- > 1;) {
    strides[i - 1] = strides[i] * map.input_shape[i];
    elements[i - 1] = elements[i] * length(map.axes[i]);
  }
  // Shared, because std::function copies what it holds.
  const auto shared = std::make_shared<const IndexMap>(std::move(map));
  return [shared, strides, elements](std::span<std::byte* const> arguments) {
    IndexWalk walk{*shared, strides, elements, reinterpret_cast<const float*>(arguments[0]),
                   reinterpret_cast<float*>(arguments[1])};
    if (shared->axes.empty()) {
      *walk.output = *walk.input;
    } else {
      walk.walk(0, 0);
    }
  };
}

Native gather(GatherRows rows) {
  const auto shared = std::make_shared<const GatherRows>(std::move(rows));
  return [shared](std::span<std::byte* const> arguments) {
    const auto* in = reinterpret_cast<const float*>(arguments[0]);
    auto* out = reinterpret_cast<float*>(arguments[1]);
    for (Bytes o = 0; o < shared->outer; ++o, in += shared->size * shared->inner)
      for (const std::uint32_t index : shared->indices)
        out = std::copy_n(in + index * shared->inner, shared->inner, out);
  };
}

}  // namespace dermlens::kernels
