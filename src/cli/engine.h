// From the shared options to what a command works with: the limit and its ledger, the model's path,
// the load options, the loaded model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/application.h"
#include "diagnose/model.h"
#include "memory/ledger.h"
#include "memory/limit.h"

namespace dermlens::cli {

// The limit in force and the one ledger of this process, with what the bare process takes booked.
struct Budget {
  MemoryLimit limit;
  std::unique_ptr<Ledger> ledger;
  Reservation base;
  Bytes bare = 0;  // the bare process, and of that what is no file's
  Bytes anon = 0;
};
// Fails with over_limit where the process alone does not fit.
Result<Budget> make_budget(const CommonOptions& common);

// --model or DERMLENS_MODEL, else the shipped model beside the executable's tree, else the one
// under /usr/share/dermlens. Fails with not_found, naming the places.
Result<std::string> find_model(const std::string& wish);

// The folder for packs, created where it is missing: --cache-dir, DERMLENS_CACHE_DIR,
// $XDG_CACHE_HOME/dermlens, ~/.cache/dermlens. Empty with --no-cache, or where none can be made.
std::string find_cache_dir(const CommonOptions& common);

Result<diagnose::LoadOptions> load_options(const CommonOptions& common);
// The same, for a `dermlens serve` that is started.
std::vector<std::string> server_options(const CommonOptions& common);

// A model ready to answer and the budget it lives in.
struct Engine {
  Budget budget;
  std::string path;
  diagnose::LoadOptions options;
  plan::Placement wish = plan::Placement::automatic;
  // Another one once answer() has moved the weights; null where they then fitted nowhere.
  std::shared_ptr<diagnose::Model> model;
  diagnose::Card card;  // the model's
};
// With a backward part unless told otherwise, so that all commands share one pack.
Result<Engine> load_engine(const CommonOptions& common, bool explain = true);

// Answers for a photo. Where the weights leave no room for it, and where they lie was not asked
// for, they move to where they take less.
Result<diagnose::Answer> answer(Engine& engine, ByteView photo, const diagnose::Request& request);

}  // namespace dermlens::cli
