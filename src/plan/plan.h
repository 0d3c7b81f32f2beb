// The bytes of a Program and of its Sessions, known before anything is allocated.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"

namespace dermlens::plan {

// Where weights live while a Program serves.
enum class Placement {
  automatic,  // the fastest that fits the limit
  resident,   // copied into anonymous memory: fast, ours alone
  mapped,     // pages of the pack file: shared with other processes, reclaimable
  streamed,   // as mapped, and each layer's pages are dropped after use: smallest
};
std::string_view to_string(Placement placement);
Result<Placement> parse_placement(std::string_view text);

struct Plan {
  Placement placement = Placement::automatic;  // never automatic in a finished plan
  Bytes weights = 0;         // all weights in the primitives' layouts: the pack's size
  Bytes weights_window = 0;  // streamed: the most that is mapped in at any moment
  Bytes small = 0;           // biases and other small tensors, always resident
  Bytes arena = 0;           // one session: activations, gradients, inputs and outputs
  Bytes scratch = 0;         // one session: the largest scratchpad of any primitive
  Bytes code = 0;            // machine code and descriptors of the primitives; measured
  std::size_t steps = 0;
  std::size_t backward_steps = 0;

  // What one more session costs, and what the Program itself costs under its placement.
  Bytes per_session() const { return arena + scratch; }
  Bytes shared() const;
};

}  // namespace dermlens::plan
