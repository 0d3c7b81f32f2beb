#include "cli/engine.h"

#include <cstdlib>
#include <filesystem>

#include "memory/process.h"

namespace dermlens::cli {
namespace {

namespace fs = std::filesystem;
constexpr const char* kShippedModel = "skin7-b0.onnx";

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

Result<Budget> make_budget(const CommonOptions& common) {
  Budget budget;
  budget.limit = find_memory_limit(common.memory_limit);
  budget.ledger = std::make_unique<Ledger>(budget.limit.bytes);
  TRY(budget.base, budget.ledger->reserve(Category::base, read_process_memory().rss));
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
  TRY(const std::string path, find_model(common.model));
  TRY(diagnose::LoadOptions options, load_options(common));
  options.explain = explain;
  TRY(engine.model, diagnose::Model::load(path, options, *engine.budget.ledger));
  return engine;
}

}  // namespace dermlens::cli
