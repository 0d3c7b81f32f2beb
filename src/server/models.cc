// One mutex and one condition for all models; loading itself happens outside of the lock.
#include "server/models.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "memory/process.h"
#include "server/model_entry.h"

namespace dermlens::server {

namespace {

constexpr std::size_t kMaxModels = 1024;

// Far longer than giving a model's memory back takes.
constexpr std::chrono::seconds kLeaving{2};

// A model that is known and has no file is our trouble and not a wrong name; where it lay is
// nobody's business.
Result<FileStamp> stamp_of_known(const ModelEntry& entry) {
  auto stamp = stamp_of(entry.path);
  if (!stamp) return fail(Errc::io, "the model's file is gone (", entry.name, ")");
  return stamp;
}

}  // namespace

std::string_view to_string(ModelState state) {
  constexpr std::array<std::string_view, 4> kNames{"unloaded", "loading", "ready", "draining"};
  return kNames[static_cast<std::size_t>(state)];
}

Lease::Lease(Models& owner, ModelEntry& entry)
    : owner_(&owner),
      entry_(&entry),
      model_(entry.model),
      name_(entry.name),
      version_(entry.version) {}

Lease::Lease(Lease&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      entry_(other.entry_),
      model_(std::move(other.model_)),
      name_(std::move(other.name_)),
      version_(std::move(other.version_)),
      distrusted_(other.distrusted_) {}

Lease::~Lease() {
  if (owner_ != nullptr) owner_->give_back(*entry_, std::move(model_), distrusted_);
}

Models::Models(Options options, Ledger& ledger, OnLoad on_load)
    : options_(std::move(options)),
      ledger_(ledger),
      on_load_(std::move(on_load)),
      how_(options_.how) {}

Models::~Models() = default;

Result<std::unique_ptr<Models>> Models::open(Options options, Ledger& ledger, OnLoad on_load) {
  std::unique_ptr<Models> models(new Models(std::move(options), ledger, std::move(on_load)));
  const std::string& path = models->options_.default_path;
  std::unique_lock lock(models->mutex_);
  if (!path.empty()) {
    TRY_VOID(stamp_of(path));
    const std::string name = std::filesystem::path(path).stem().string();
    if (!is_model_name(name))
      return fail(Errc::usage, "a model's file name must be of letters, digits, '.', '_', '-' (",
                  name, ")");
    models->add_locked({name, "1", path});
    models->default_name_ = name;
  }
  TRY_VOID(models->scan(lock));
  if (models->entries_.empty())
    return fail(Errc::not_found, "no model (", models->options_.directory, ")");
  if (models->default_name_.empty()) models->default_name_ = models->entries_.begin()->first.first;
  return models;
}

void Models::add_locked(ModelFile file) {
  if (entries_.size() >= kMaxModels) return;
  auto& entry = entries_[{file.name, file.version}];
  if (entry != nullptr) return;
  entry = std::make_unique<ModelEntry>();
  entry->name = std::move(file.name);
  entry->version = std::move(file.version);
  entry->path = std::move(file.path);
}

Result<void> Models::scan(std::unique_lock<std::mutex>& lock) {
  if (options_.directory.empty()) return {};
  lock.unlock();
  auto files = find_model_files(options_.directory);
  lock.lock();
  if (!files) return tl::make_unexpected(std::move(files).error());
  for (ModelFile& file : *files) add_locked(std::move(file));
  return {};
}

Result<std::string> Models::file_name_locked(std::string_view asked) const {
  std::string carded;
  for (const auto& [key, entry] : entries_) {
    if (key.first == asked) return std::string(asked);
    // Answers carry the card's name, which need not be the file's.
    if (entry->model == nullptr || entry->model->card().name != asked) continue;
    if (!carded.empty() && carded != key.first)
      return fail(Errc::not_found, "more than one model calls itself '", asked, "' ('", carded,
                  "', '", key.first, "')");
    carded = key.first;
  }
  return carded.empty() ? std::string(asked) : carded;
}

Result<ModelEntry*> Models::find_locked(std::string_view name, std::string_view version) const {
  const std::string_view asked = name.empty() ? std::string_view(default_name_) : name;
  TRY(const std::string wanted, file_name_locked(asked));
  ModelEntry* best = nullptr;
  for (const auto& [key, entry] : entries_) {
    if (key.first != wanted || (!version.empty() && key.second != version)) continue;
    // The highest version: the longer number, then the later text.
    if (best == nullptr || key.second.size() > best->version.size() ||
        (key.second.size() == best->version.size() && key.second > best->version))
      best = entry.get();
  }
  if (best == nullptr)
    return fail(Errc::not_found, "no such model ('", wanted, "'",
                version.empty() ? "" : ", version ", version, ")");
  return best;
}

template <class Enough>
Result<ModelEntry*> Models::await_locked(std::unique_lock<std::mutex>& lock, std::string_view name,
                                         std::string_view version, Clock::time_point deadline,
                                         Enough enough) {
  auto found = find_locked(name, version);
  if (!found && scan(lock)) found = find_locked(name, version);
  if (!found) return tl::make_unexpected(std::move(found).error());
  ModelEntry& entry = **found;
  const std::uint64_t failures = entry.failures;
  for (;;) {
    if (entry.state == ModelState::ready && enough(entry)) return &entry;
    if (entry.state == ModelState::unloaded) {
      // Whoever waited for a load shares its failure.
      if (entry.failures != failures) return tl::make_unexpected(entry.last_error);
      TRY_VOID(load_locked(lock, entry));
      continue;
    }
    if (changed_.wait_until(lock, deadline) == std::cv_status::timeout)
      return fail(Errc::deadline, "the model was not free before the deadline (", entry.name, ", ",
                  to_string(entry.state), ")");
  }
}

Result<Lease> Models::acquire(std::string_view name, std::string_view version,
                              Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  TRY(ModelEntry* const entry, await_locked(lock, name, version, deadline, [](const ModelEntry& e) {
        return e.busy < static_cast<std::size_t>(e.model->sessions());
      }));
  ++entry->busy;
  return Lease(*this, *entry);
}

Result<Models::Used> Models::use(std::string_view name, std::string_view version,
                                 Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  TRY(ModelEntry* const entry,
      await_locked(lock, name, version, deadline, [](const ModelEntry&) { return true; }));
  entry->last_used = Clock::now();
  return Used{entry->model, entry->name, entry->version};
}

Result<void> Models::load_locked(std::unique_lock<std::mutex>& lock, ModelEntry& entry) {
  entry.state = ModelState::loading;
  const auto start = Clock::now();
  lock.unlock();
  const auto stamp = stamp_of_known(entry);
  lock.lock();
  Result<std::shared_ptr<diagnose::Model>> loaded =
      stamp ? load_roomily(lock, entry) : tl::make_unexpected(stamp.error());
  entry.failed = !loaded;
  if (!loaded) {
    entry.state = ModelState::unloaded;
    entry.last_error = loaded.error();
    ++entry.failures;
    changed_.notify_all();
    return tl::make_unexpected(std::move(loaded).error());
  }
  entry.model = std::move(*loaded);
  entry.stamp = *stamp;
  entry.state = ModelState::ready;
  entry.withdrawn = false;
  entry.last_used = Clock::now();
  changed_.notify_all();
  on_load_(*entry.model, std::chrono::duration<double>(Clock::now() - start).count());
  return {};
}

Result<void> Models::load(std::string_view name, std::string_view version,
                          Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  TRY_VOID(scan(lock));
  TRY(ModelEntry * entry, find_locked(name, version));
  while (entry->state == ModelState::loading || entry->state == ModelState::draining)
    if (changed_.wait_until(lock, deadline) == std::cv_status::timeout)
      return fail(Errc::busy, "the model is ", to_string(entry->state), " (", entry->name, ")");
  if (entry->state == ModelState::unloaded) return load_locked(lock, *entry);
  entry->withdrawn = false;
  lock.unlock();
  const auto now = stamp_of_known(*entry);
  lock.lock();
  if (!now) return tl::make_unexpected(now.error());
  // Where it was unloaded meanwhile, the next load reads the new file anyway.
  if (entry->state != ModelState::ready || *now == entry->stamp) return {};
  return replace_locked(lock, *entry, *now, deadline);
}

Result<void> Models::unload(std::string_view name, std::string_view version,
                            Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  TRY(ModelEntry * entry, find_locked(name, version));
  entry->withdrawn = true;
  while (entry->state == ModelState::loading || entry->state == ModelState::draining)
    if (changed_.wait_until(lock, deadline) == std::cv_status::timeout)
      return fail(Errc::busy, "the model is ", to_string(entry->state), " (", entry->name, ")");
  if (entry->state == ModelState::unloaded) return {};
  TRY_VOID(drain_locked(lock, *entry, deadline));
  drop_locked(lock, *entry);
  return {};
}

Result<void> Models::drain_locked(std::unique_lock<std::mutex>& lock, ModelEntry& entry,
                                  Clock::time_point deadline) {
  entry.state = ModelState::draining;
  if (changed_.wait_until(lock, deadline, [&entry] { return entry.busy == 0; })) return {};
  entry.state = ModelState::ready;
  changed_.notify_all();
  return fail(Errc::busy, "the model is still in use (", entry.name, ", ", entry.busy,
              " requests)");
}

void Models::drop_locked(std::unique_lock<std::mutex>& lock, ModelEntry& entry) {
  auto model = std::move(entry.model);
  entry.model.reset();
  entry.state = ModelState::draining;  // nobody loads it anew before its memory is back
  lock.unlock();
  model.reset();
  trim_heap();
  lock.lock();
  entry.state = ModelState::unloaded;
  changed_.notify_all();
}

bool Models::drop_least_recent_locked(std::unique_lock<std::mutex>& lock, const ModelEntry* keep) {
  ModelEntry* oldest = nullptr;
  for (const auto& [key, entry] : entries_)
    if (entry.get() != keep && entry->state == ModelState::ready && entry->busy == 0 &&
        (oldest == nullptr || entry->last_used < oldest->last_used))
      oldest = entry.get();
  if (oldest == nullptr) return false;
  drop_locked(lock, *oldest);
  return true;
}

bool Models::unload_one() {
  std::unique_lock lock(mutex_);
  std::size_t wanted = 0;
  bool leaving = false;
  for (const auto& [key, entry] : entries_) {
    wanted += entry->state == ModelState::ready || entry->state == ModelState::loading;
    leaving = leaving || (entry->state == ModelState::draining && entry->busy == 0);
  }
  if (!leaving) return wanted > 1 && drop_least_recent_locked(lock);
  changed_.wait_for(lock, kLeaving);
  return true;
}

void Models::unload_idle(std::chrono::milliseconds idle_for) {
  std::unique_lock lock(mutex_);
  for (const auto& [key, entry] : entries_)
    if (entry->state == ModelState::ready && entry->busy == 0 &&
        entry->last_used + idle_for <= Clock::now())
      drop_locked(lock, *entry);
}

void Models::give_back(ModelEntry& entry, std::shared_ptr<diagnose::Model> model, bool distrusted) {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    --entry.busy;
    entry.last_used = Clock::now();
    if (distrusted && entry.model == model && entry.state == ModelState::ready) {
      entry.model.reset();
      entry.state = ModelState::unloaded;
      last = true;
    }
    changed_.notify_all();
  }
  model.reset();
  if (last) trim_heap();
}

Result<void> Models::rescan() {
  std::unique_lock lock(mutex_);
  return scan(lock);
}

ModelInfo Models::describe(const ModelEntry& entry) const {
  ModelInfo info{.name = entry.name,
                 .version = entry.version,
                 .state = entry.state,
                 .is_default = entry.name == default_name_,
                 .withdrawn = entry.withdrawn,
                 .reason = entry.failed ? entry.last_error.message : std::string(),
                 .busy = entry.busy,
                 .sessions = entry.model != nullptr ? entry.model->sessions() : 0};
  return info;
}

std::vector<ModelInfo> Models::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelInfo> infos;
  for (const auto& [key, entry] : entries_) infos.push_back(describe(*entry));
  return infos;
}

Result<ModelInfo> Models::info(std::string_view name, std::string_view version) const {
  const std::lock_guard lock(mutex_);
  TRY(const ModelEntry* entry, find_locked(name, version));
  return describe(*entry);
}

std::shared_ptr<const diagnose::Model> Models::peek(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto entry = find_locked(name, {});
  return entry ? (*entry)->model : nullptr;
}

std::size_t Models::loaded() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [](const auto& e) { return e.second->model != nullptr; }));
}

}  // namespace dermlens::server
