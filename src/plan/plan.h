// The bytes of a Program and of its Sessions, known before anything is allocated: lifetimes of all
// buffers, forward and backward together, packed into one arena; weights laid out in one file.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"

namespace dermlens::kernels {
struct Lowered;
}

namespace dermlens::plan {

// Of every buffer and weight: a cache line, and the widest vector.
inline constexpr Bytes kAlignment = 64;

// Where weights live while a Program serves.
enum class Placement {
  automatic,  // the fastest that fits the limit
  resident,   // copied into anonymous memory: fast, ours alone
  mapped,     // pages of the pack file: shared with other processes, reclaimable
  streamed,   // read from the pack step by step, into a window of the session's: smallest
};
std::string_view to_string(Placement placement);
Result<Placement> parse_placement(std::string_view text);

struct Plan {
  Placement placement = Placement::automatic;
  Bytes weights = 0;      // large weights in the primitives' layouts: the pack's size
  Bytes window = 0;       // streamed: the weights of one session's largest step
  Bytes small = 0;        // biases and other small tensors, always resident
  Bytes arena = 0;        // one session: activations, gradients, inputs and outputs
  Bytes scratch = 0;      // one session: the largest scratchpad of any primitive
  Bytes descriptors = 0;  // one session: oneDNN's handles to the arena
  Bytes code = 0;         // machine code and descriptors of the primitives; measured when loaded
  Bytes building = 0;     // while the pack is built: Staging, of the larger part
  // Of mapped weights: what needs no room of its own (let_reclaim).
  Bytes reclaimable = 0;
  std::size_t steps = 0;
  std::size_t backward_steps = 0;

  // For a limit that the kernel itself enforces, a control group's: before it kills it takes pages
  // of the pack back, and who needs them reads them again. More than half of the mapped weights
  // gone, and every request would read nearly all of them (docs/adr/0010).
  void let_reclaim() { reclaimable = weights / 2; }

  // What one more session costs, and what the Program itself costs, under `where`.
  Bytes per_session(Placement where) const;
  // What a session costs while it does not run.
  Bytes idle_session() const { return arena + scratch + descriptors; }
  Bytes shared(Placement where) const;
  Bytes total(Placement where, int sessions) const {
    return shared(where) + static_cast<Bytes>(sessions) * per_session(where);
  }
};

// First and last step that touch a buffer, inclusive.
struct Lifetime {
  Bytes bytes = 0;
  std::size_t first = 0, last = 0;
};

struct Packing {
  std::vector<Bytes> offsets;  // by buffer, multiples of 64
  Bytes total = 0;
};

// Greedy by size (Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference,
// 2020): no two buffers whose lifetimes meet share a byte.
Packing pack_arena(const std::vector<Lifetime>& lifetimes);

// Everything that has a place: what exec needs to run, and pack to write.
struct Layout {
  Packing arena;
  std::vector<Bytes> weight_offsets;  // by weight: in the large part, or in the small block
  std::vector<bool> weight_is_small;
  Plan plan;  // placement automatic, code an estimate
};

// What weights pass through on their way into a pack, one after the other: room for the largest as
// it comes and for the largest as it goes, which need not be the same.
struct Staging {
  Bytes source = 0;
  Bytes target = 0;
  Bytes total() const { return source + target; }
};
// Of the small weights or of the large.
Staging staging_of(const kernels::Lowered& lowered, const std::vector<bool>& is_small, bool small);

Layout make_layout(const kernels::Lowered& lowered);

// The fastest placement whose total fits `available`. Where not even streaming fits, fails with the
// bytes that would do: with over_limit where they are more than `most`, which is what can ever be
// available, else with no_memory.
Result<Placement> choose_placement(const Plan& plan, Placement wish, int sessions, Bytes available,
                                   Bytes most);

}  // namespace dermlens::plan
