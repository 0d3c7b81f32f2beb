// A pipe, a child, one record and a sentence.
#include "server/configure.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <thread>
#include <type_traits>

#include "base/checked.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "server/model_files.h"

namespace dermlens::server {
namespace {

// What the child says of itself; the ways and the sentence (or the error's message) follow.
struct Record {
  bool ok = false, heatmaps = true;
  Errc code = Errc::internal;
  Bytes needed = 0, available = 0;
  std::uint64_t sessions = 0;
  plan::Placement placement = plan::Placement::automatic;
  Bytes engine = 0, reserved = 0, peak = 0, request_room = 0;
  plan::Plan plan;
  std::size_t ways = 0;
};
static_assert(std::is_trivially_copyable_v<Record> && std::is_trivially_copyable_v<capacity::Way>);
constexpr std::size_t kMostWays = 16;

int wanted_sessions(const Options& options) {
  if (options.sessions > 0) return options.sessions;
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 64U));
}

void adopt(Configuration& configuration, const capacity::Way& way, std::uint64_t sessions) {
  configuration.sessions = static_cast<int>(sessions);
  configuration.placement = way.placement;
  configuration.heatmaps = way.heatmaps;
  configuration.code = way.plan.code;
  configuration.let_reclaim = way.plan.reclaimable != 0;
  configuration.plan = way.plan;
  configuration.reserved = way.reserved(sessions);
  configuration.peak = way.peak(sessions);
  configuration.request_room =
      way.session_peak - std::min(way.session_peak, way.plan.per_session(way.placement));
}

Result<Configuration> survey(const std::string& model, const Options& options,
                             const MemoryLimit& limit, Bytes base) {
  capacity::Assumptions assumptions;
  assumptions.threads = options.threads;
  assumptions.weights = options.placement;
  assumptions.keep_photo = true;
  assumptions.upload = std::min(assumptions.upload, options.max_upload);
  TRY(const auto found, capacity::survey(model, limit, base, assumptions));
  // A model that has no heatmaps still classifies.
  const bool heatmaps =
      options.explain && std::ranges::any_of(found.ways, &capacity::Way::heatmaps);
  TRY(const auto choice, capacity::choose(found, heatmaps, options.placement,
                                          static_cast<std::uint64_t>(wanted_sessions(options))));
  Configuration configuration;
  adopt(configuration, found.ways[choice.way], choice.sessions);
  configuration.sentence = capacity::describe(found, choice);
  configuration.ways = found.ways;
  return configuration;
}

// In the child: everything into one write, which a pipe takes as a whole.
void tell(int pipe, const Result<Configuration>& result) {
  Record record;
  std::string text, ways;
  record.ok = result.has_value();
  if (result) {
    record.sessions = static_cast<std::uint64_t>(result->sessions);
    record.placement = result->placement;
    record.heatmaps = result->heatmaps;
    record.engine = result->code;
    record.reserved = result->reserved;
    record.peak = result->peak;
    record.request_room = result->request_room;
    record.plan = result->plan.value();
    record.ways = std::min(result->ways.size(), kMostWays);
    ways.assign(reinterpret_cast<const char*>(result->ways.data()),
                record.ways * sizeof(capacity::Way));
    text = result->sentence;
  } else {
    record.code = result.error().code;
    record.needed = result.error().needed;
    record.available = result.error().available;
    text = result.error().message;
  }
  text.resize(std::min<std::size_t>(text.size(), 2048));
  std::string bytes(sizeof record, '\0');
  std::memcpy(bytes.data(), &record, sizeof record);
  bytes += ways + text;
  [[maybe_unused]] const auto written = ::write(pipe, bytes.data(), bytes.size());
}

// Absent where the child did not finish.
std::optional<Result<Configuration>> understand(const std::string& bytes) {
  Record record;
  if (bytes.size() < sizeof record) return std::nullopt;
  std::memcpy(&record, bytes.data(), sizeof record);
  const std::size_t ways = std::min(record.ways, kMostWays) * sizeof(capacity::Way);
  if (bytes.size() < sizeof record + ways) return std::nullopt;
  std::string text = bytes.substr(sizeof record + ways);
  if (!record.ok)
    return tl::make_unexpected(
        Error{record.code, std::move(text), record.needed, record.available});
  Configuration configuration;
  configuration.sessions = static_cast<int>(record.sessions);
  configuration.placement = record.placement;
  configuration.heatmaps = record.heatmaps;
  configuration.code = record.engine;
  configuration.reserved = record.reserved;
  configuration.peak = record.peak;
  configuration.request_room = record.request_room;
  configuration.plan = record.plan;
  configuration.sentence = std::move(text);
  configuration.ways.resize(ways / sizeof(capacity::Way));
  std::memcpy(configuration.ways.data(), bytes.data() + sizeof record, ways);
  return configuration;
}

// All that comes before the pipe's end or the deadline. Fails with cancelled where one of the held
// signals came first, which is taken.
Result<std::string> listen(int pipe, std::chrono::seconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  const sigset_t wish = ending_signals();
  const Descriptor signals(::signalfd(-1, &wish, SFD_CLOEXEC | SFD_NONBLOCK));
  std::string bytes;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return std::string();
    std::array<pollfd, 2> ready{pollfd{pipe, POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
    const int events = ::poll(ready.data(), ready.size(), static_cast<int>(left.count()));
    if (events < 0 && errno == EINTR) continue;
    if (events <= 0) return std::string();
    signalfd_siginfo signal;
    if (ready[1].revents != 0 && ::read(signals.get(), &signal, sizeof signal) > 0)
      return fail(Errc::cancelled, "told to end before the plan was made");
    if (ready[0].revents == 0) continue;
    char part[4096];
    const ssize_t count = ::read(pipe, part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return bytes;
    bytes.append(part, static_cast<std::size_t>(count));
  }
}

// Where memory runs out meanwhile, the kernel is to take this process: the server can go on
// without.
void volunteer() {
  const Descriptor file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  [[maybe_unused]] const auto written = ::write(file.get(), "1000", 4);
}

// Where nobody could say what fits: what asks for least, unless the operator decided otherwise.
Configuration cautious(const Options& options, std::string_view why) {
  Configuration configuration;
  configuration.sessions = std::max(1, options.sessions);
  configuration.placement = options.placement == plan::Placement::automatic
                                ? plan::Placement::streamed
                                : options.placement;
  configuration.sentence = "none (" + std::string(why) +
                           "): " + std::string(to_string(configuration.placement)) + " weights, " +
                           std::to_string(configuration.sessions) + " at once";
  return configuration;
}

[[noreturn]] void run_child(int pipe, pid_t parent, const std::string& model,
                            const Options& options, const MemoryLimit& limit, Bytes base) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  volunteer();
  if (::getppid() == parent) {
    try {
      tell(pipe, survey(model, options, limit, base));
    } catch (const std::exception&) {
      // No record: the parent goes on without.
    }
  }
  ::_exit(0);
}

// The mapped way where the kernel takes pages back instead of killing.
capacity::Way let_reclaim(capacity::Way way) {
  way.plan.let_reclaim();
  way.shared[static_cast<std::size_t>(Category::weights)] -= way.plan.reclaimable;
  return way;
}

std::string first_model(const Options& options) {
  if (!options.model.empty()) return options.model;
  auto files = find_model_files(options.model_dir);
  if (!files || files->empty()) return {};
  return std::ranges::min(*files, {},
                          [](const ModelFile& file) { return std::pair(file.name, file.version); })
      .path;
}

}  // namespace

sigset_t ending_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  return signals;
}

Result<Configuration> configure(const Options& options, const MemoryLimit& limit, Bytes base,
                                std::chrono::seconds patience) {
  const std::string model = first_model(options);
  if (model.empty()) return cautious(options, "no model");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return cautious(options, "no pipe");
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) run_child(ends[1], parent, model, options, limit, base);
  ::close(ends[1]);
  const Result<std::string> bytes = child > 0 ? listen(ends[0], patience) : std::string();
  ::close(ends[0]);
  if (child > 0) {
    ::kill(child, SIGKILL);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (!bytes) return tl::make_unexpected(bytes.error());
  auto answer = understand(*bytes);
  // Of a folder, the other models may be fine.
  if (answer && (*answer || !options.model.empty())) return std::move(*answer);
  const std::string why = answer ? answer->error().message : "its process gave no answer";
  log(LogLevel::warning, "the plan could not be made: " + why);
  return cautious(options, why);
}

Result<Configuration> configure_anew(const Configuration& before, const Options& options,
                                     const MemoryLimit& limit) {
  if (before.ways.empty()) return before;
  const auto wanted = static_cast<std::uint64_t>(wanted_sessions(options));
  std::optional<Configuration> best;
  Bytes least = std::numeric_limits<Bytes>::max();
  for (const capacity::Way& surveyed : before.ways) {
    if (surveyed.heatmaps != before.heatmaps) continue;
    if (options.placement != plan::Placement::automatic && surveyed.placement != options.placement)
      continue;
    const bool may_reclaim =
        limit.source == LimitSource::cgroup && surveyed.placement == plan::Placement::mapped;
    const capacity::Way way = may_reclaim ? let_reclaim(surveyed) : surveyed;
    least = std::min(least, way.reserved(1));
    std::uint64_t sessions = wanted;
    while (sessions > 0 && way.reserved(sessions) > limit.bytes) --sessions;
    // The fastest come first: a slower one must hold more.
    if (sessions == 0 || (best && static_cast<std::uint64_t>(best->sessions) >= sessions)) continue;
    best = before;
    adopt(*best, way, sessions);
  }
  if (best) return std::move(*best);
  auto error = fail(Errc::over_limit, "the smallest plan needs ", format_size(least), ", ",
                    format_size(limit.bytes), " are left");
  error.value().needed = least;
  error.value().available = limit.bytes;
  return error;
}

}  // namespace dermlens::server
