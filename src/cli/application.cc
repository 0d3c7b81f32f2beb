#include "cli/application.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <new>

#include "base/checked.h"
#include "diagnose/json_text.h"
#include "plan/plan.h"

namespace dermlens::cli {
namespace {

// CLI11 says several lines; an error of ours is one.
std::string first_line(std::string text) {
  if (const auto end = text.find('\n'); end != std::string::npos) text.resize(end);
  return text;
}

int report(const Error& error, bool json) {
  print_error(error.message);
  if (json) print_json(std::cout, error_object(error));
  return exit_code(error.code);
}

}  // namespace

ExitCode exit_code(Errc code) {
  switch (code) {
    case Errc::usage:
      return kWrongUsage;
    case Errc::malformed:
    case Errc::unsupported:
    case Errc::not_found:
    case Errc::too_large:
    case Errc::refused:
    case Errc::corrupt:
      return kBadInput;
    case Errc::over_limit:
    case Errc::no_memory:
      return kOverLimit;
    case Errc::busy:
    case Errc::deadline:
    case Errc::cancelled:
    case Errc::denied:
    case Errc::io:
    case Errc::internal:
      return kFailed;
  }
  return kFailed;
}

CLI::App* Application::command(const std::string& name, const std::string& purpose,
                               const std::string& example) {
  CLI::App* sub = root.add_subcommand(name, purpose);
  sub->footer("Example:\n  " + example);
  // With this callback CLI11 reads the environment for the chosen command alone; without it, the
  // options that other commands share with it would be read from there too, and overwrite its own.
  sub->parse_complete_callback([] {});
  return sub;
}

void add_common_options(CLI::App& command, CommonOptions& common, bool model_option) {
  if (model_option)
    command.add_option("--model", common.model, "The model (default: the shipped one)")
        ->envname("DERMLENS_MODEL");
  command
      .add_option_function<std::string>(
          "--memory-limit",
          [&common](const std::string& text) {
            const auto bytes = parse_size(text);
            if (!bytes || *bytes == 0)
              throw CLI::ValidationError("--memory-limit", "not a size: '" + text + "' (96M, 2G)");
            common.memory_limit = *bytes;
          },
          "The most memory to use, such as 96M or 2G (default: the control group's or the host's)")
      ->envname("DERMLENS_MEMORY_LIMIT");
  command.add_option("--threads", common.threads, "Threads a request may use")
      ->check(CLI::Range(1, 256))
      ->envname("DERMLENS_THREADS")
      ->capture_default_str();
  command.add_option("--weights", common.weights, "Where the weights live")
      ->check(CLI::IsMember({"auto", "resident", "mapped", "streamed"}))
      ->envname("DERMLENS_WEIGHTS")
      ->capture_default_str();
  command.add_option("--cache-dir", common.cache_dir, "Where packs are kept")
      ->envname("DERMLENS_CACHE_DIR");
  command.add_flag("--no-cache", common.no_cache, "Keep no pack")->envname("DERMLENS_NO_CACHE");
}

void add_json_option(CLI::App& command, CommonOptions& common) {
  command.add_flag("--json", common.json, "One JSON document on stdout");
}

int run_application(Application& application, int argc, char** argv) {
  CLI::App& root = application.root;
  root.name("dermlens");
  root.set_version_flag("--version", "dermlens " DERMLENS_VERSION);
  root.require_subcommand(1);
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& wish) {  // --help, --version
    return root.exit(wish) == 0 && std::cout.flush() ? kDone : kFailed;
  } catch (const CLI::ParseError& error) {
    const bool no_such_command = argc > 1 && argv[1][0] != '-' && root.get_subcommands().empty();
    print_error(
        (no_such_command ? "no command '" + std::string(argv[1]) + "'" : first_line(error.what())) +
        " (see dermlens --help)");
    return kWrongUsage;
  }
  int code = kFailed;
  try {
    const Result<int> result = application.action();
    code = result ? *result : report(result.error(), application.common.json);
  } catch (const std::bad_alloc&) {
    code = report({Errc::no_memory, "out of memory"}, application.common.json);
  }
  std::cout.flush();
  if (!std::cout) {
    print_error("the output could not be written (stdout)");
    return code == kDone ? kFailed : code;
  }
  return code;
}

boost::json::object error_object(const Error& error) {
  boost::json::object object{{"error", printable(error.message)}, {"code", to_string(error.code)}};
  if (error.needed != 0) {
    object.emplace("needed_bytes", error.needed);
    object.emplace("free_bytes", error.available);
  }
  return object;
}

void print_json(std::ostream& out, const boost::json::value& document) {
  out << to_text(document) << '\n';
}

void print_error(const std::string& message) {
  std::cout.flush();
  std::cerr << "dermlens: " << printable(message) << '\n';
}

void print_warning(const std::string& message) {
  std::cerr << "warning: " << printable(message) << '\n';
}

}  // namespace dermlens::cli
