// What a Program holds: compiled steps and placed weights. Private to exec.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "exec/weight_store.h"
#include "kernels/lower.h"

namespace dermlens::exec {

// A oneDNN handle to a buffer of the arena, under one layout.
struct View {
  kernels::BufferId buffer = 0;
  kernels::Desc desc;
};

struct Argument {
  int id = 0;
  kernels::Operand operand;
  std::size_t memory = 0;  // index among views (buffer) or weight memories (weight)
};

struct Step {
  std::string name;
  dnnl::primitive primitive;  // empty for a native kernel
  kernels::Native native;
  kernels::Desc scratchpad;  // zero where there is none
  std::vector<Argument> arguments;
  std::vector<kernels::WeightId> streamed;  // to be read into the window, in this order
};

struct Engine {
  plan::Plan plan;
  std::vector<Bytes> buffer_offsets;
  std::vector<Step> steps;
  std::size_t late_begin = 0;
  std::vector<View> views;
  WeightStore weights;
  std::vector<dnnl::memory> weight_memories;
  std::vector<kernels::BufferId> inputs;
  std::vector<kernels::Operand> outputs;
  int threads = 1;
  std::string pack_path;
  bool pack_built = false;
  Reservation weights_hold, code_hold;
};

}  // namespace dermlens::exec
