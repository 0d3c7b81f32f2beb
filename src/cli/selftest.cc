// dermlens selftest: the seed's test procedure and ours, against a server of its own or another's.
#include "probe/selftest.h"

#include <unistd.h>

#include <fstream>
#include <iostream>
#include <optional>

#include "base/mapped_file.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/selftest_report.h"
#include "cli/synthetic_photo.h"
#include "cli/write_file.h"

namespace dermlens::cli {
namespace {

struct SelftestOptions {
  std::string url;
  std::string api_token_file;
  std::string junit;
  unsigned clients = 64;
  std::uint64_t requests = 2000;
  unsigned cycles = 10;
  unsigned load_seconds = 90;
};

Result<std::vector<probe::Header>> headers_of(const SelftestOptions& options) {
  if (options.api_token_file.empty()) return std::vector<probe::Header>{};
  std::ifstream file(options.api_token_file);
  std::string token;
  if (!std::getline(file, token) || token.empty())
    return fail(Errc::not_found, "no token could be read (", options.api_token_file, ")");
  return std::vector<probe::Header>{{"Authorization", "Bearer " + token}};
}

Result<probe::Photos> make_photos() {
  probe::Photos photos;
  TRY(photos.phone, synthetic_photo({4000, 3000}));
  TRY(photos.small, synthetic_photo({320, 240}));
  TRY(photos.large, synthetic_photo({8164, 6124}));
  TRY(std::vector<BrokenFile> broken, broken_files());
  for (BrokenFile& file : broken)
    photos.broken.push_back({std::move(file.name), std::move(file.bytes)});
  return photos;
}

void print_progress(const probe::Step& step) {
  if (::isatty(STDERR_FILENO) == 0) return;
  std::cerr << (step.passed() ? "  ok    " : "  FAULT ") << step.name << ": "
            << printable(step.passed() ? step.ours : step.fault) << '\n';
}

Result<int> selftest(const CommonOptions& common, const SelftestOptions& options) {
  if (!options.junit.empty()) TRY_VOID(check_writable(options.junit));
  probe::SelftestPlan plan;
  std::optional<probe::ServerProcess> server;
  if (!options.url.empty()) {
    TRY(plan.endpoint, probe::parse_endpoint(options.url));
  } else {
    // Said at once, before the photos are made, and by its own code: a server only has exit codes.
    TRY(const std::string model, find_model(common.model));
    TRY_VOID(MappedFile::open(model));
  }
  TRY(plan.headers, headers_of(options));
  TRY(const probe::Photos photos, make_photos());
  if (options.url.empty()) {
    TRY(server, probe::ServerProcess::start(server_options(common)));
    plan.endpoint = server->endpoint();
    plan.server = &*server;
  }
  plan.clients = options.clients;
  plan.requests = options.requests;
  plan.cycles = options.cycles;
  plan.load_budget = std::chrono::seconds(options.load_seconds);
  const probe::SelftestReport report = probe::run_selftest(plan, photos, print_progress);
  if (common.json) {
    std::cout << selftest_json(report);
  } else {
    print_selftest(std::cout, report);
  }
  if (!options.junit.empty()) TRY_VOID(write_file(options.junit, selftest_junit(report)));
  return report.passed() ? kDone : kVerdictFailed;
}

}  // namespace

void add_selftest(Application& application) {
  CLI::App* command = application.command(
      "selftest", "The seed's test procedure and ours, against a server of its own or another's",
      "dermlens selftest --memory-limit 512M");
  auto options = std::make_shared<SelftestOptions>();
  command->add_option("--url", options->url,
                      "A running server, http://host:port (default: its own)");
  command->add_option("--api-token-file", options->api_token_file, "The token for --url");
  command->add_option("--junit", options->junit, "Write the report here as JUnit XML");
  command->add_option("--clients", options->clients, "Clients at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--requests", options->requests, "Their requests in all")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--cycles", options->cycles, "Loads and unloads")
      ->check(CLI::Range(2, 10'000))
      ->capture_default_str();
  command->add_option("--load-seconds", options->load_seconds, "The most time for the requests")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, selftest);
}

}  // namespace dermlens::cli
