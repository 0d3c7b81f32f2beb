// Where a Program's weights are at run time: one interface over resident, mapped and streamed.
// Streamed weights are nowhere: a step's are read from the pack into its session's window.
// Private to exec.
#pragma once

#include <string>
#include <vector>

#include "exec/anonymous.h"
#include "pack/pack.h"

namespace dermlens::exec {

class WeightStore {
 public:
  // Builds or opens what `placement` needs. Without a cache folder, resident weights are laid out
  // in memory directly.
  static Result<WeightStore> make(const pack::Source& source, plan::Placement placement,
                                  std::span<const std::shared_ptr<const MappedFile>> model,
                                  const std::string& cache_dir, Ledger& ledger);

  // Zeros in place of every weight: pages that are only read, which take no memory.
  static Result<WeightStore> make_blank(const pack::Source& source);

  // Of a streamed weight: in the mapped pack, which is for a look at it, not for running.
  std::byte* address(kernels::WeightId id) const;

  // Whether steps must read the weight into a window.
  bool is_streamed(kernels::WeightId id) const {
    return placement_ == plan::Placement::streamed && !is_small_[id];
  }
  // Reads streamed weights into `window`, each behind the other at the next multiple of
  // plan::kAlignment. What the file has lost makes damaged() true.
  void read(std::span<const kernels::WeightId> ids, std::byte* window) const;
  Bytes size(kernels::WeightId id) const { return sizes_[id]; }

  bool damaged() const { return pack_.file && pack_.file->damaged(); }
  const pack::Pack& pack() const { return pack_; }

 private:
  // Knows where each weight will be, and has nothing there yet.
  static WeightStore outlined(const pack::Source& source, plan::Placement placement);

  plan::Placement placement_ = plan::Placement::resident;
  std::vector<Bytes> offsets_, sizes_;
  std::vector<bool> is_small_;
  Anonymous small_, large_;  // large_ only when resident
  pack::Pack pack_;
};

}  // namespace dermlens::exec
