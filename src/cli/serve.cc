// dermlens serve: the command line and the environment to the server's options.
#include "server/serve.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/checked.h"
#include "cli/commands.h"
#include "cli/engine.h"

namespace dermlens::cli {
namespace {

struct ServeOptions {
  server::Options server;
  std::optional<unsigned short> port;
  std::string log_format = "text";
};

// "250ms", "30s", "10m", "2h", or seconds without a unit.
std::optional<std::chrono::milliseconds> parse_duration(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || !std::isfinite(number) || number < 0) return std::nullopt;
  const std::string unit = end;
  const double factor = unit.empty() || unit == "s" ? 1e3
                        : unit == "ms"              ? 1
                        : unit == "m"               ? 60e3
                        : unit == "h"               ? 3600e3
                                                    : -1;
  if (factor < 0 || number * factor > 1e12) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(number * factor));
}

// What a variable of the seed's says, as the seed spelled truth; `otherwise` where it is not set.
Result<bool> truth_of(const char* variable, bool otherwise) {
  const char* const value = std::getenv(variable);
  if (value == nullptr) return otherwise;
  std::string text = value;
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* yes : {"true", "1", "yes", "on"})
    if (text == yes) return true;
  for (const char* no : {"false", "0", "no", "off", ""})
    if (text == no) return false;
  return fail(Errc::usage, variable, " is neither true nor false ('", value, "')");
}

// What a variable that others know, too, says; `otherwise` where it is not set or empty.
Result<int> number_of(const char* variable, int least, int most, int otherwise) {
  const char* const value = std::getenv(variable);
  if (value == nullptr || *value == '\0') return otherwise;
  const std::string_view text = value;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    return fail(Errc::usage, variable, " is not a number from ", least, " to ", most, " ('", text,
                "')");
  return number;
}

template <class Duration>
void add_duration(CLI::App& command, const std::string& name, Duration& out,
                  const std::string& help, const char* variable) {
  command
      .add_option_function<std::string>(
          name,
          [&out, name](const std::string& text) {
            const auto duration = parse_duration(text);
            if (!duration)
              throw CLI::ValidationError(name, "not a time: '" + text + "' (30s, 10m, 500ms)");
            out = std::chrono::duration_cast<Duration>(*duration);
          },
          help)
      ->envname(variable);
}

void add_size(CLI::App& command, const std::string& name, Bytes& out, const std::string& help,
              const char* variable) {
  command
      .add_option_function<std::string>(
          name,
          [&out, name](const std::string& text) {
            const auto size = parse_size(text);
            if (!size || *size == 0)
              throw CLI::ValidationError(name, "not a size: '" + text + "' (15M)");
            out = *size;
          },
          help)
      ->envname(variable);
}

void add_network_options(CLI::App& command, ServeOptions& given) {
  server::Options& options = given.server;
  command.add_option("--host", options.host, "The address to listen on")
      ->envname("DERMLENS_HOST")
      ->capture_default_str();
  command.add_option("--port", given.port, "The port (default: $PORT, else 8000; 0: any)")
      ->envname("DERMLENS_PORT");
  command.add_option("--api-token-file", options.api_token_file, "Tokens, one a line")
      ->envname("DERMLENS_API_TOKEN_FILE");
  command.add_option("--cors-origin", options.cors_origin, "A foreign origin to let in, or *")
      ->envname("DERMLENS_CORS_ORIGIN");
  command.add_option("--max-connections", options.max_connections, "Clients at once")
      ->check(CLI::Range(1, 100'000))
      ->envname("DERMLENS_MAX_CONNECTIONS")
      ->capture_default_str();
  command.add_option("--web-dir", options.web_dir, "Serve the page from this folder (development)")
      ->envname("DERMLENS_WEB_DIR");
  add_duration(command, "--header-timeout", options.header_timeout, "For a request's header",
               "DERMLENS_HEADER_TIMEOUT");
  add_duration(command, "--idle-timeout", options.idle_timeout, "Between two requests",
               "DERMLENS_IDLE_TIMEOUT");
  add_duration(command, "--body-timeout", options.body_stall, "Without a byte of a body",
               "DERMLENS_BODY_TIMEOUT");
  add_duration(command, "--write-timeout", options.write_timeout, "For an answer to be taken",
               "DERMLENS_WRITE_TIMEOUT");
}

void add_work_options(CLI::App& command, server::Options& options) {
  add_size(command, "--max-upload", options.max_upload, "The largest photo in bytes (15M)",
           "DERMLENS_MAX_UPLOAD");
  command
      .add_option_function<std::string>(
          "--max-pixels",
          [&options](const std::string& text) {
            // Pixels are counted in millions, not in powers of two.
            char* end = nullptr;
            const double number = std::strtod(text.c_str(), &end);
            const std::string unit = end;
            if (!(number > 0) || number > 1e9 || (unit != "M" && !unit.empty()))
              throw CLI::ValidationError("--max-pixels", "not a number: '" + text + "' (50M)");
            options.max_pixels = static_cast<Bytes>(number * (unit == "M" ? 1e6 : 1));
          },
          "The most pixels of a photo (50M)")
      ->envname("DERMLENS_MAX_PIXELS");
  command.add_option("--sessions", options.sessions, "Requests computed at once (0: one a core)")
      ->check(CLI::Range(0, 1024))
      ->envname("DERMLENS_SESSIONS");
  command.add_option("--queue", options.queue, "Requests that may wait")
      ->check(CLI::Range(0, 100'000))
      ->envname("DERMLENS_QUEUE")
      ->capture_default_str();
  add_duration(command, "--deadline", options.deadline, "For a request in the queue (30s)",
               "DERMLENS_DEADLINE");
  command.add_flag("--preload", options.preload, "Load the model at start")
      ->envname("DERMLENS_PRELOAD");
  add_duration(command, "--idle-unload", options.idle_unload, "Unload a model unused for so long",
               "DERMLENS_IDLE_UNLOAD");
  command.add_option("--model-dir", options.model_dir, "More models: NAME.onnx, NAME/1/model.onnx")
      ->envname("DERMLENS_MODEL_DIR");
}

void add_keeping_options(CLI::App& command, ServeOptions& options) {
  command.add_option("--history", options.server.history, "Keep results in this SQLite file")
      ->envname("DERMLENS_HISTORY");
  command.add_option("--history-days", options.server.history_days, "Forget older ones (0: never)")
      ->check(CLI::Range(0, 100'000))
      ->envname("DERMLENS_HISTORY_DAYS");
  add_duration(command, "--result-ttl", options.server.result_ttl,
               "How long results stay in memory (15m)", "DERMLENS_RESULT_TTL");
  command.add_option("--log-format", options.log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->envname("DERMLENS_LOG_FORMAT");
}

Result<int> run_serve(const CommonOptions& common, const ServeOptions& given) {
  server::Options options = given.server;
  options.memory_limit = common.memory_limit;
  options.threads = common.threads;
  if (common.threads == 1) {
    TRY(options.threads, number_of("OMP_NUM_THREADS", 1, 256, 1));
  }
  if (given.port) {
    options.port = *given.port;
  } else {
    TRY(const int port, number_of("PORT", 0, 65535, options.port));
    options.port = static_cast<unsigned short>(port);
  }
  if (options.model_dir.empty() || !common.model.empty()) {
    TRY(options.model, find_model(common.model));
  }
  TRY(options.placement, plan::parse_placement(common.weights));
  options.cache_dir = find_cache_dir(common);
  options.log_format = given.log_format == "json" ? LogFormat::json : LogFormat::text;
  TRY(options.explain, truth_of("ENABLE_GRADCAM", true));
  TRY(const bool preload, truth_of("PRELOAD_MODEL", false));
  options.preload = options.preload || preload;
  TRY_VOID(server::serve(options));
  return kDone;
}

}  // namespace

void add_serve(Application& application) {
  CLI::App* const command =
      application.command("serve", "Serve the page, the API and the inference protocols over HTTP",
                          "dermlens serve --port 8000 --memory-limit 96M");
  auto options = std::make_shared<ServeOptions>();
  add_common_options(*command, application.common);
  add_network_options(*command, *options);
  add_work_options(*command, options->server);
  add_keeping_options(*command, *options);
  on_run(application, *command, options, run_serve);
}

}  // namespace dermlens::cli
