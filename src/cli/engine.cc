#include "cli/engine.h"

#include <cstdlib>
#include <filesystem>

#include "memory/process.h"

namespace dermlens::cli {
namespace {

namespace fs = std::filesystem;
constexpr const char* kShippedModel = "skin7-b0.onnx";

// Pages of libraries that choose and write kernels, beside what loading reserves: 1.2 MB at most
// were measured.
constexpr Bytes kLoading = 1536 * 1024;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool is_short_of_memory(const Error& error) {
  return error.code == Errc::no_memory || error.code == Errc::over_limit;
}

// Loads the model. What that leaves beside code and weights (the graph, mostly) is known only now.
Result<void> load(Engine& engine) {
  Budget& budget = engine.budget;
  engine.model.reset();
  TRY_VOID(budget.base.resize(budget.bare + kLoading));
  TRY(engine.model, diagnose::Model::load(engine.path, engine.options, *budget.ledger));
  const plan::Plan& plan = engine.model->plan();
  const Bytes placed = plan.placement == plan::Placement::resident ? plan.weights : 0;
  const Bytes known = budget.anon + plan.code + plan.small + placed;
  const Bytes left = std::max(read_process_memory().anon, known) - known;
  return budget.base.resize(budget.bare + left);
}

// Loads it again with weights that take less than where they are; false where they take least, or
// lie where they were asked to.
Result<bool> take_less(Engine& engine) {
  using plan::Placement;
  if (engine.wish != Placement::automatic) return false;
  const Placement now = engine.model->plan().placement;
  for (const Placement next : {Placement::mapped, Placement::streamed}) {
    if (next <= now) continue;
    engine.options.placement = next;
    auto loaded = load(engine);
    if (loaded) return true;
    if (next == Placement::streamed || !is_short_of_memory(loaded.error()))
      return tl::make_unexpected(std::move(loaded).error());
  }
  return false;
}

}  // namespace

Result<Budget> make_budget(const CommonOptions& common) {
  Budget budget;
  budget.limit = find_memory_limit(common.memory_limit);
  budget.ledger = std::make_unique<Ledger>(budget.limit.bytes);
  const ProcessMemory memory = read_process_memory();
  TRY(budget.base, budget.ledger->reserve(Category::base, memory.rss));
  budget.bare = memory.rss;
  budget.anon = memory.anon;
  return budget;
}

Result<std::string> find_model(const std::string& wish) {
  if (!wish.empty()) return wish;
  std::error_code error;
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  std::string tried;
  if (!error) {
    // build/release/dermlens in a clone; bin/dermlens of an installation.
    const fs::path dir = executable.parent_path();
    for (const char* place : {"models", "../models", "../../models", "../share/dermlens"}) {
      const fs::path candidate = (dir / place / kShippedModel).lexically_normal();
      if (is_file(candidate)) return candidate.string();
    }
    tried = dir.string() + ", ";
  }
  const fs::path installed = fs::path("/usr/share/dermlens") / kShippedModel;
  if (is_file(installed)) return installed.string();
  return fail(Errc::not_found, "no model: give --model or DERMLENS_MODEL (", kShippedModel,
              " is not near ", tried, "nor in /usr/share/dermlens)");
}

std::string find_cache_dir(const CommonOptions& common) {
  if (common.no_cache) return "";
  fs::path dir = common.cache_dir;
  if (dir.empty()) {
    const std::string xdg = environment("XDG_CACHE_HOME");
    const std::string home = environment("HOME");
    if (!xdg.empty() && xdg[0] == '/')
      dir = fs::path(xdg) / "dermlens";
    else if (!home.empty() && home[0] == '/')
      dir = fs::path(home) / ".cache" / "dermlens";
  }
  if (dir.empty()) return "";
  std::error_code error;
  fs::create_directories(dir, error);
  return fs::is_directory(dir, error) ? dir.string() : "";
}

Result<diagnose::LoadOptions> load_options(const CommonOptions& common) {
  diagnose::LoadOptions options;
  TRY(options.placement, plan::parse_placement(common.weights));
  options.threads = common.threads;
  options.cache_dir = find_cache_dir(common);
  return options;
}

std::vector<std::string> server_options(const CommonOptions& common) {
  std::vector<std::string> options{"--weights", common.weights, "--threads",
                                   std::to_string(common.threads)};
  const auto add = [&options](const char* name, const std::string& value) {
    if (!value.empty()) options.insert(options.end(), {name, value});
  };
  add("--model", common.model);
  add("--cache-dir", common.cache_dir);
  if (common.memory_limit) add("--memory-limit", std::to_string(*common.memory_limit));
  if (common.no_cache) options.emplace_back("--no-cache");
  return options;
}

Result<Engine> load_engine(const CommonOptions& common, bool explain) {
  Engine engine;
  TRY(engine.budget, make_budget(common));
  TRY(engine.path, find_model(common.model));
  TRY(engine.options, load_options(common));
  engine.options.explain = explain;
  engine.wish = engine.options.placement;
  TRY_VOID(load(engine));
  engine.card = engine.model->card();
  return engine;
}

Result<diagnose::Answer> answer(Engine& engine, ByteView photo, const diagnose::Request& request) {
  for (;;) {
    if (!engine.model) TRY_VOID(load(engine));
    auto said = engine.model->answer(photo, request);
    if (said || !is_short_of_memory(said.error())) return said;
    TRY(const bool moved, take_less(engine));
    if (!moved) return said;
  }
}

}  // namespace dermlens::cli
