// The models a server knows: found at start or by a look into the folder, loaded when first asked
// for, shared by everybody who asks meanwhile, given back when idle or when another needs the room.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/model.h"
#include "memory/ledger.h"
#include "server/message.h"
#include "server/model_files.h"

namespace dermlens::server {

enum class ModelState { unloaded, loading, ready, draining };
std::string_view to_string(ModelState state);

struct ModelInfo {
  std::string name, version;
  ModelState state = ModelState::unloaded;
  bool is_default = false;
  bool withdrawn = false;  // unloaded by request: not announced as ready until loaded again
  std::string reason;      // why the last load failed; empty where it did not
  std::size_t busy = 0;
  int sessions = 0;  // 0 while unloaded
};

class Models;
struct ModelEntry;

// A model in use: a session is ours until the end of the scope.
class [[nodiscard]] Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  diagnose::Model& model() const { return *model_; }
  std::shared_ptr<const diagnose::Model> share() const { return model_; }
  const std::string& name() const { return name_; }
  const std::string& version() const { return version_; }

  // The model's file changed under us: the next request loads it anew.
  void distrust() { distrusted_ = true; }

 private:
  friend class Models;
  Lease(Models& owner, ModelEntry& entry);

  Models* owner_;
  ModelEntry* entry_;
  std::shared_ptr<diagnose::Model> model_;
  std::string name_, version_;
  bool distrusted_ = false;
};

// All methods may be called from any thread; acquire, rescan, load and unload wait and must not be
// called on the I/O thread.
class Models {
 public:
  // How the default model is run; the others run as fits.
  struct How {
    plan::Placement placement = plan::Placement::automatic;
    int sessions = 1;          // 0: none fits; requests may still try
    Bytes request_room = 0;    // what a request reserves beside its session
    bool let_reclaim = false;  // as plan::Plan::let_reclaim
  };
  struct Options {
    std::string default_path;
    std::string directory;       // may be empty
    diagnose::LoadOptions load;  // placement and sessions come from `how`
    How how;
    plan::Placement wish = plan::Placement::automatic;  // what the operator asked for
    // Asked for room before other models are unloaded; false where it has none to give.
    std::function<bool(Bytes)> make_room;
  };
  // Told about every load that succeeded and the seconds it took. Called under the lock: it may not
  // call back.
  using OnLoad = std::function<void(const diagnose::Model& model, double seconds)>;

  ~Models();

  // Looks for the files; loads nothing. Fails with not_found where the default model's file is
  // missing, with usage where the folder cannot be read.
  static Result<std::unique_ptr<Models>> open(Options options, Ledger& ledger, OnLoad on_load);

  // A session of a model, loaded first where need be. An empty name is the default model, an empty
  // version the highest. Fails with not_found, deadline, or as Model::load does.
  Result<Lease> acquire(std::string_view name, std::string_view version,
                        Clock::time_point deadline);

  // The model without a session: what there is to know of it. Loaded first where need be.
  struct Used {
    std::shared_ptr<const diagnose::Model> model;
    std::string name, version;
  };
  Result<Used> use(std::string_view name, std::string_view version, Clock::time_point deadline);

  // Loads, or takes up a file that was replaced: the new one beside the old, or after the old has
  // drained where both do not fit; where the new one cannot be loaded, the old one stays.
  Result<void> load(std::string_view name, std::string_view version, Clock::time_point deadline);
  // Waits for running requests, then gives the memory back to the system.
  Result<void> unload(std::string_view name, std::string_view version, Clock::time_point deadline);
  // From now on models are run like this. Those that are loaded are given back when their requests
  // have ended, and the default one is loaded anew. Fails with busy where they do not end in time,
  // and as loading does; what is loaded from then on is run like this all the same.
  Result<void> reconfigure(const How& how, Clock::time_point deadline);
  // Unloads the least recently used of those that nobody uses, or waits for one that is on its way
  // out; but for the last one, as what it frees is for requests. False where there is none. Waits,
  // as the above do.
  bool unload_one();
  // Whether what was refused would fit if no model were loaded and `besides` were free as well.
  bool could_fit(const Error& refusal, Bytes besides = 0) const;
  // Unloads what nobody has used for so long.
  void unload_idle(std::chrono::milliseconds idle_for);

  // Looks into the folder again.
  Result<void> rescan();
  std::vector<ModelInfo> list() const;
  Result<ModelInfo> info(std::string_view name, std::string_view version) const;
  // The card's limits, plan and so on of a model without waiting: null where it is not loaded.
  std::shared_ptr<const diagnose::Model> peek(std::string_view name = {}) const;
  const std::string& default_name() const { return default_name_; }
  std::size_t loaded() const;

 private:
  using Key = std::pair<std::string, std::string>;

  Models(Options options, Ledger& ledger, OnLoad on_load);
  friend class Lease;

  // The file's name behind the name asked for: that name itself, else the one file whose card has
  // it. Fails with not_found where several have.
  Result<std::string> file_name_locked(std::string_view asked) const;
  Result<ModelEntry*> find_locked(std::string_view name, std::string_view version) const;
  // Waits until the entry is ready and `enough` holds, loading it where it is unloaded.
  template <class Enough>
  Result<ModelEntry*> await_locked(std::unique_lock<std::mutex>& lock, std::string_view name,
                                   std::string_view version, Clock::time_point deadline,
                                   Enough enough);
  // Looks into the folder without the lock: disks are slow, and the I/O thread asks for it, too.
  Result<void> scan(std::unique_lock<std::mutex>& lock);
  void add_locked(ModelFile file);
  How how_for(const ModelEntry& entry) const;
  Result<std::shared_ptr<diagnose::Model>> load_file(const std::string& path, const How& how,
                                                     int sessions) const;
  Result<std::shared_ptr<diagnose::Model>> load_roomily(std::unique_lock<std::mutex>& lock,
                                                        const ModelEntry& entry);
  Result<void> load_locked(std::unique_lock<std::mutex>& lock, ModelEntry& entry);
  Result<void> replace_locked(std::unique_lock<std::mutex>& lock, ModelEntry& entry,
                              const FileStamp& stamp, Clock::time_point deadline);
  bool drop_least_recent_locked(std::unique_lock<std::mutex>& lock,
                                const ModelEntry* keep = nullptr);
  void drop_locked(std::unique_lock<std::mutex>& lock, ModelEntry& entry);
  Result<void> drain_locked(std::unique_lock<std::mutex>& lock, ModelEntry& entry,
                            Clock::time_point deadline);
  void give_back(ModelEntry& entry, std::shared_ptr<diagnose::Model> model, bool distrusted);
  ModelInfo describe(const ModelEntry& entry) const;

  const Options options_;
  Ledger& ledger_;
  const OnLoad on_load_;
  std::string default_name_;
  How how_;  // under the mutex
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<Key, std::unique_ptr<ModelEntry>> entries_;  // never erased: leases point into it
};

}  // namespace dermlens::server
