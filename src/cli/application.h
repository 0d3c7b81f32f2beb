// The command line's frame: one App of CLI11, the options that all commands share, and the way from
// a Result to a line on stderr and an exit code. Each command lives in its own file and registers
// itself by its add_... function; nothing below this folder prints.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/text.h"

namespace dermlens::cli {

enum ExitCode : int {
  kDone = 0,
  kVerdictFailed = 1,
  kWrongUsage = 2,
  kBadInput = 3,
  kOverLimit = 4,
  kFailed = 5,
};
ExitCode exit_code(Errc code);

// What most commands take. Filled by CLI11, the environment or the defaults.
struct CommonOptions {
  std::string model;                  // empty: DERMLENS_MODEL, else the shipped one
  std::optional<Bytes> memory_limit;  // --memory-limit
  int threads = 1;                    // a request
  std::string weights = "auto";
  std::string cache_dir;  // empty: DERMLENS_CACHE_DIR, else the user's cache
  bool no_cache = false;
  bool json = false;
};

// A command's work; the int is its exit code when nothing failed.
using Action = std::function<Result<int>()>;

struct Application {
  CLI::App root{"Skin photo to class probabilities and an honest heatmap, in a few tens of MB."};
  CommonOptions common;
  Action action;  // of the command that was chosen

  // A command with its one-line purpose and an example for --help.
  CLI::App* command(const std::string& name, const std::string& purpose,
                    const std::string& example);
};

// --model (where `model_option`), --memory-limit, --threads, --weights, --cache-dir, --no-cache.
void add_common_options(CLI::App& command, CommonOptions& common, bool model_option = true);
void add_json_option(CLI::App& command, CommonOptions& common);

// Makes `command` the one that runs, with `options` kept alive until then.
template <class Options>
void on_run(Application& application, CLI::App& command, std::shared_ptr<Options> options,
            Result<int> (*run)(const CommonOptions&, const Options&)) {
  command.callback([&application, options, run] {
    application.action = [&application, options, run] { return run(application.common, *options); };
  });
}

// The whole program but for the process's own set-up: parses, runs, prints the error's line.
// Returns the exit code.
int run_application(Application& application, int argc, char** argv);

// One line on stderr, without control characters: "dermlens: <message>".
void print_error(const std::string& message);
void print_warning(const std::string& message);

// {"error":"...","code":"..."}, as the server's error bodies.
boost::json::object error_object(const Error& error);

// One line of JSON; names that are no UTF-8 do not make it something else.
void print_json(std::ostream& out, const boost::json::value& document);

}  // namespace dermlens::cli
