// Placing weights, and reading those that have no place.
#include "exec/weight_store.h"

#include <cstring>

#include "base/checked.h"

namespace dermlens::exec {
namespace {

pack::Sink into(const Anonymous& memory) {
  return [&memory](Bytes offset, ByteView bytes) -> Result<void> {
    std::memcpy(memory.data() + offset, bytes.data(), bytes.size());
    return {};
  };
}

}  // namespace

WeightStore WeightStore::outlined(const pack::Source& source, plan::Placement placement) {
  WeightStore store;
  store.placement_ = placement;
  store.offsets_ = source.layout.weight_offsets;
  store.is_small_ = source.layout.weight_is_small;
  for (const kernels::Weight& weight : source.lowered.weights) store.sizes_.push_back(weight.bytes);
  return store;
}

Result<WeightStore> WeightStore::make_blank(const pack::Source& source) {
  WeightStore store = outlined(source, plan::Placement::resident);
  TRY(store.small_, Anonymous::map(source.layout.plan.small));
  TRY(store.large_, Anonymous::map(source.layout.plan.weights));
  return store;
}

Result<WeightStore> WeightStore::make(const pack::Source& source, plan::Placement placement,
                                      std::span<const std::shared_ptr<const MappedFile>> model,
                                      const std::string& cache_dir, Ledger& ledger) {
  const plan::Plan& plan = source.layout.plan;
  WeightStore store = outlined(source, placement);
  TRY(store.small_, Anonymous::map(plan.small));
  const bool resident = placement == plan::Placement::resident;
  if (resident) {
    TRY(store.large_, Anonymous::map(plan.weights));
    if (cache_dir.empty()) {
      TRY_VOID(pack::write_weights(source, false, ledger, into(store.large_)));
      TRY_VOID(pack::write_weights(source, true, ledger, into(store.small_)));
      return store;
    }
  }
  TRY(store.pack_, pack::open_or_build(source, model, cache_dir, ledger));
  std::memcpy(store.small_.data(), store.pack_.file->bytes().data() + store.pack_.small_begin,
              plan.small);
  store.pack_.file->drop(store.pack_.small_begin, plan.small);
  if (resident) {
    pack::copy_large(store.pack_, store.large_.bytes());
    if (store.damaged()) return fail(Errc::corrupt, "the pack changed while it was read");
    store.pack_.file.reset();
  }
  return store;
}

std::byte* WeightStore::address(kernels::WeightId id) const {
  if (is_small_[id]) return small_.data() + offsets_[id];
  if (placement_ == plan::Placement::resident) return large_.data() + offsets_[id];
  // oneDNN takes no pointers to const; it only reads weights.
  return const_cast<std::byte*>(pack_.file->bytes().data()) + pack_.large_begin + offsets_[id];
}

void WeightStore::read(std::span<const kernels::WeightId> ids, std::byte* window) const {
  for (const kernels::WeightId id : ids) {
    pack_.file->read(pack_.large_begin + offsets_[id], {window, sizes_[id]});
    window += align_up(sizes_[id], plan::kAlignment);
  }
}

}  // namespace dermlens::exec
