// A graph lowered to steps that oneDNN (or one of our few own loops) can run: every value has a
// memory layout, every weight a layout and a place, every step its scratch bytes. Nothing here is
// allocated or compiled yet; `plan` gives buffers their offsets, `exec` creates the primitives.
#pragma once

#include <cstdint>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/checked.h"
#include "graph/graph.h"

namespace dermlens::kernels {

using Desc = dnnl::memory::desc;
using BufferId = std::uint32_t;
using WeightId = std::uint32_t;

// Bytes in the arena. Several values may live in one buffer, one after the other (in place) or
// seen under other shapes.
struct Buffer {
  Bytes bytes = 0;
};

// A constant in the layout that its primitive asks for.
struct Weight {
  graph::ValueId value = graph::kNoValue;
  Desc source;  // the row-major constant, as the primitive sees it (reshaped or transposed)
  Desc target;
  Bytes bytes = 0;
  // Integer weights go as they are stored; the recipe's scale is then the primitive's business.
  bool as_stored = false;
  // Per element along axis 0, multiplied in after the recipe; empty: nothing.
  std::vector<float> factor;
};

struct Operand {
  enum class Kind : std::uint8_t { buffer, weight };
  Kind kind = Kind::buffer;
  std::uint32_t index = 0;
};

struct Argument {
  int id = 0;  // DNNL_ARG_...; for a native kernel its position
  Operand operand;
  Desc desc;
};

// One of our own loops; the arguments' addresses come in the order of Step::arguments. It neither
// allocates nor keeps anything.
using Native = std::function<void(std::span<std::byte* const>)>;

struct Step {
  std::string name;  // the node's, for errors and profiles
  std::variant<dnnl::primitive_desc_base, Native> kernel;
  std::vector<Argument> arguments;
  Bytes scratch = 0;
};

struct Lowered {
  std::vector<Buffer> buffers;
  std::vector<Weight> weights;
  std::vector<Step> steps;
  std::size_t late_begin = 0;    // steps from here on depend on late inputs
  std::vector<BufferId> inputs;  // of graph.inputs(), row-major
  std::vector<bool> input_is_late;
  std::vector<Operand> outputs;  // of graph.outputs(), row-major
};

}  // namespace dermlens::kernels
