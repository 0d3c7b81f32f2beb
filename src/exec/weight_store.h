// Where a Program's weights are at run time: one interface over resident, mapped and streamed.
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

  std::byte* address(kernels::WeightId id) const;
  // Before and after a step that reads these weights; only streaming does anything.
  void prepare(std::span<const kernels::WeightId> ids) const;
  void release(std::span<const kernels::WeightId> ids) const;

  bool damaged() const { return pack_.file && pack_.file->damaged(); }
  bool is_small(kernels::WeightId id) const { return is_small_[id]; }
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
