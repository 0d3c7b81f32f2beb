// dermlens serve: the command line and the environment to the server's options.
#include "server/serve.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/checked.h"
#include "cli/commands.h"
#include "cli/engine.h"

namespace dermlens::cli {
namespace {

struct ServeOptions {
  server::Options server;
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

// The seed's spelling of truth: true, 1, yes.
bool truth(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text == "true" || text == "1" || text == "yes" || text == "on";
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

void add_network_options(CLI::App& command, server::Options& options) {
  command.add_option("--host", options.host, "The address to listen on")
      ->envname("DERMLENS_HOST")
      ->capture_default_str();
  command.add_option("--port", options.port, "The port (default: $PORT, else 8000; 0: any)")
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
  if (const char* text = std::getenv("OMP_NUM_THREADS"); text != nullptr && common.threads == 1)
    options.threads = std::clamp(std::atoi(text), 1, 256);
  if (options.model_dir.empty() || !common.model.empty()) {
    TRY(options.model, find_model(common.model));
  }
  TRY(options.placement, plan::parse_placement(common.weights));
  options.cache_dir = find_cache_dir(common);
  options.log_format = given.log_format == "json" ? LogFormat::json : LogFormat::text;
  if (const char* text = std::getenv("ENABLE_GRADCAM")) options.explain = truth(text);
  if (const char* text = std::getenv("PRELOAD_MODEL"))
    options.preload = options.preload || truth(text);
  TRY_VOID(server::serve(options));
  return kDone;
}

}  // namespace

void add_serve(Application& application) {
  CLI::App* const command =
      application.command("serve", "Serve the page, the API and the inference protocols over HTTP",
                          "dermlens serve --port 8000 --memory-limit 96M");
  auto options = std::make_shared<ServeOptions>();
  if (const char* port = std::getenv("PORT")) {
    const int number = std::atoi(port);
    if (number > 0 && number < 65536) options->server.port = static_cast<unsigned short>(number);
  }
  add_common_options(*command, application.common);
  add_network_options(*command, options->server);
  add_work_options(*command, options->server);
  add_keeping_options(*command, *options);
  on_run(application, *command, options, run_serve);
}

}  // namespace dermlens::cli
