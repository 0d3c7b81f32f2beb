// Making a model fit: fewer sessions, smaller placements, others giving way, another limit.
#include <algorithm>
#include <utility>

#include "memory/process.h"
#include "server/model_entry.h"

namespace dermlens::server {

Models::How Models::how_for(const ModelEntry& entry) const {
  How how = how_;
  // Only the default model was surveyed: of the others, the ledger knows what fits.
  if (entry.name != default_name_) {
    how.placement = options_.wish;
    how.let_reclaim = false;
  }
  return how;
}

Result<std::shared_ptr<diagnose::Model>> Models::load_file(const std::string& path, const How& how,
                                                           int sessions) const {
  diagnose::LoadOptions load = options_.load;
  load.placement = how.placement;
  load.sessions = sessions;
  load.let_reclaim = how.let_reclaim;
  // Where the ledger is asked for the fastest that fits, what requests need must not be taken.
  Reservation room;
  if (how.placement == plan::Placement::automatic) {
    TRY(room, ledger_.reserve(Category::decode, static_cast<Bytes>(sessions) * how.request_room));
  }
  // Whatever is thrown past here would leave the model in the state `loading` for ever.
  try {
    return diagnose::Model::load(path, load, ledger_);
  } catch (const std::bad_alloc&) {
    return fail(Errc::no_memory, "out of memory while the model was loaded (", path, ")");
  } catch (const std::exception& error) {
    return fail(Errc::internal, "the model could not be loaded (", path, ", ", error.what(), ")");
  }
}

Result<std::shared_ptr<diagnose::Model>> Models::load_roomily(std::unique_lock<std::mutex>& lock,
                                                              const ModelEntry& entry) {
  // As planned; where that does not fit, others give way first, then speed, then sessions.
  How how = how_for(entry);
  for (int sessions = std::max(1, how.sessions);;) {
    lock.unlock();
    auto loaded = load_file(entry.path, how, sessions);
    lock.lock();
    if (loaded || !short_of_memory(loaded.error())) return loaded;
    if (options_.make_room && options_.make_room(loaded.error().missing())) continue;
    if (drop_least_recent_locked(lock, &entry)) continue;
    if (std::exchange(how.placement, options_.wish) != options_.wish) continue;
    if (sessions == 1) {
      // Too much for what others leave, but not for ever.
      if (how.sessions == 0) loaded.error().code = Errc::no_memory;
      return loaded;
    }
    sessions /= 2;
  }
}

Result<void> Models::reconfigure(const How& how, Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  how_ = how;
  ModelEntry* reload = nullptr;
  for (const auto& [key, entry] : entries_) {
    while (entry->state == ModelState::loading || entry->state == ModelState::draining)
      if (changed_.wait_until(lock, deadline) == std::cv_status::timeout)
        return fail(Errc::busy, "the model is ", to_string(entry->state), " (", entry->name, ")");
    if (entry->state != ModelState::ready) continue;
    TRY_VOID(drain_locked(lock, *entry, deadline));
    drop_locked(lock, *entry);
    if (entry->name == default_name_) reload = entry.get();
  }
  if (reload == nullptr || how.sessions == 0 || reload->state != ModelState::unloaded) return {};
  return load_locked(lock, *reload);
}

bool Models::could_fit(const Error& refusal, Bytes besides) const {
  if (refusal.code != Errc::no_memory) return false;
  Bytes room = ledger_.available() + besides;
  for (const Category held :
       {Category::weights, Category::code, Category::arena, Category::scratch})
    room += ledger_.reserved(held);
  return refusal.needed <= room;
}

Result<void> Models::replace_locked(std::unique_lock<std::mutex>& lock, ModelEntry& entry,
                                    const FileStamp& stamp, Clock::time_point deadline) {
  const auto start = Clock::now();
  int sessions = std::max(1, entry.model->sessions());
  const How how = how_for(entry);
  lock.unlock();
  auto loaded = load_file(entry.path, how, sessions);
  while (!loaded && short_of_memory(loaded.error()) && !could_fit(loaded.error()) && sessions > 1)
    loaded = load_file(entry.path, how, sessions /= 2);
  lock.lock();
  if (!loaded && !could_fit(loaded.error())) return tl::make_unexpected(std::move(loaded).error());
  if (entry.state != ModelState::ready) return {};  // unloaded meanwhile: the next load reads it
  if (!loaded) {
    // Not beside the old one: requests wait while it makes room.
    TRY_VOID(drain_locked(lock, entry, deadline));
    drop_locked(lock, entry);
    return load_locked(lock, entry);
  }
  auto old = std::exchange(entry.model, std::move(*loaded));  // its requests finish on it
  entry.stamp = stamp;
  entry.last_used = Clock::now();
  changed_.notify_all();
  on_load_(*entry.model, std::chrono::duration<double>(Clock::now() - start).count());
  lock.unlock();
  old.reset();
  trim_heap();
  lock.lock();
  return {};
}

}  // namespace dermlens::server
