// A pipe, a child, one record and a sentence.
#include "server/configure.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <type_traits>

#include "base/log.h"
#include "capacity/capacity.h"

namespace dermlens::server {
namespace {

// What the child says of itself; the sentence (or the error's message) follows.
struct Record {
  bool ok = false;
  Errc code = Errc::internal;
  Bytes needed = 0, available = 0;
  std::uint64_t sessions = 0;
  plan::Placement placement = plan::Placement::automatic;
  Bytes engine = 0, peak = 0;
};
static_assert(std::is_trivially_copyable_v<Record>);

int wanted_sessions(const Options& options) {
  if (options.sessions > 0) return options.sessions;
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 64U));
}

Result<Configuration> survey(const Options& options, const MemoryLimit& limit, Bytes base) {
  capacity::Assumptions assumptions;
  assumptions.threads = options.threads;
  assumptions.weights = options.placement;
  assumptions.keep_photo = true;
  assumptions.upload = std::min(assumptions.upload, options.max_upload);
  TRY(const auto found, capacity::survey(options.model, limit, base, assumptions));
  TRY(const auto choice, capacity::choose(found, options.explain, options.placement,
                                          static_cast<std::uint64_t>(wanted_sessions(options))));
  const capacity::Way& way = found.ways[choice.way];
  return Configuration{.sessions = static_cast<int>(choice.sessions),
                       .placement = way.placement,
                       .code = way.plan.code,
                       .peak = way.peak(choice.sessions),
                       .sentence = capacity::describe(found, choice)};
}

// In the child: everything into one write; a record and a sentence are less than PIPE_BUF.
void tell(int pipe, const Result<Configuration>& result) {
  Record record;
  std::string text;
  record.ok = result.has_value();
  if (result) {
    record.sessions = static_cast<std::uint64_t>(result->sessions);
    record.placement = result->placement;
    record.engine = result->code;
    record.peak = result->peak;
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
  bytes += text;
  [[maybe_unused]] const auto written = ::write(pipe, bytes.data(), bytes.size());
}

// All that comes before the pipe's end or the deadline.
std::string listen(int pipe, std::chrono::seconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  std::string bytes;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return {};
    pollfd ready{pipe, POLLIN, 0};
    const int events = ::poll(&ready, 1, static_cast<int>(left.count()));
    if (events < 0 && errno == EINTR) continue;
    if (events <= 0) return {};
    char part[4096];
    const ssize_t count = ::read(pipe, part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return bytes;
    bytes.append(part, static_cast<std::size_t>(count));
  }
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

[[noreturn]] void run_child(int pipe, pid_t parent, const Options& options,
                            const MemoryLimit& limit, Bytes base) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent) {
    try {
      tell(pipe, survey(options, limit, base));
    } catch (const std::exception&) {
      // No record: the parent goes on without.
    }
  }
  ::_exit(0);
}

}  // namespace

Result<Configuration> configure(const Options& options, const MemoryLimit& limit, Bytes base,
                                std::chrono::seconds patience) {
  if (options.model.empty())  // models come and go
    return Configuration{.sessions = wanted_sessions(options),
                         .placement = options.placement,
                         .sentence = "made for each model as it is loaded"};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return cautious(options, "no pipe");
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) run_child(ends[1], parent, options, limit, base);
  ::close(ends[1]);
  const std::string bytes = child > 0 ? listen(ends[0], patience) : std::string();
  ::close(ends[0]);
  if (child > 0) {
    ::kill(child, SIGKILL);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Record record;
  if (bytes.size() < sizeof record) {
    log(LogLevel::warning, "the plan could not be made: the process that makes it gave no answer");
    return cautious(options, "no answer");
  }
  std::memcpy(&record, bytes.data(), sizeof record);
  std::string text = bytes.substr(sizeof record);
  if (!record.ok)
    return tl::make_unexpected(
        Error{record.code, std::move(text), record.needed, record.available});
  return Configuration{.sessions = static_cast<int>(record.sessions),
                       .placement = record.placement,
                       .code = record.engine,
                       .peak = record.peak,
                       .sentence = std::move(text)};
}

}  // namespace dermlens::server
