// fork, exec, and a thread that reads what the server says: its port first, then only the last of
// it, for the case that it dies.
#include "probe/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string_view>
#include <thread>

namespace dermlens::probe {
namespace {

constexpr std::chrono::seconds kStartTime{60};
constexpr std::chrono::seconds kStopTime{40};
constexpr std::size_t kTail = 8192;
constexpr std::string_view kListening = "listening on http://127.0.0.1:";

bool meant_for_servers(std::string_view variable) {
  constexpr std::array kNames{"PORT=", "ENABLE_GRADCAM=", "PRELOAD_MODEL="};
  if (variable.starts_with("DERMLENS_")) return true;
  for (const std::string_view name : kNames)
    if (variable.starts_with(name)) return true;
  return false;
}

// Pointers into `texts`, ended by a null, as exec wants them.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The last line, without the name that the command line puts before an error.
std::string last_words(std::string_view text) {
  constexpr std::string_view kName = "dermlens: ";
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (const std::size_t end = text.rfind('\n'); end != std::string_view::npos)
    text.remove_prefix(end + 1);
  if (text.starts_with(kName)) text.remove_prefix(kName.size());
  return std::string(text);
}

// An error for which we exit as a server did: the codes of the command line, read backwards.
Errc error_of(int status) {
  if (!WIFEXITED(status)) return Errc::internal;
  switch (WEXITSTATUS(status)) {
    case 2:
      return Errc::usage;
    case 3:
      return Errc::malformed;
    case 4:
      return Errc::over_limit;
    default:
      return Errc::internal;
  }
}

}  // namespace

struct ServerProcess::State {
  pid_t pid = -1;
  int pipe = -1;
  bool ended = false;
  int status = 0;
  std::string port;
  std::string tail;
  bool silent = false;  // the pipe's other end is closed
  std::mutex mutex;     // of port, tail, silent
  std::condition_variable news;
  std::thread reader;

  ~State() {
    if (!ended && pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
    }
    if (reader.joinable()) reader.join();
    if (pipe >= 0) ::close(pipe);
  }

  void listen_to_it() {
    std::array<char, 4096> buffer{};
    while (true) {
      const ssize_t length = ::read(pipe, buffer.data(), buffer.size());
      if (length < 0 && errno == EINTR) continue;
      const std::lock_guard lock(mutex);
      silent = length <= 0;
      if (length > 0) tail.append(buffer.data(), static_cast<std::size_t>(length));
      find_port();
      if (tail.size() > kTail) tail.erase(0, tail.size() - kTail);
      news.notify_all();
      if (silent) return;
    }
  }

  void find_port() {
    if (!port.empty()) return;
    const std::size_t at = tail.find(kListening);
    if (at == std::string::npos) return;
    const std::size_t start = at + kListening.size();
    const std::size_t end = tail.find('/', start);
    if (end != std::string::npos) port = tail.substr(start, end - start);
  }

  // Whether it has ended, without waiting.
  bool look() {
    if (!ended && ::waitpid(pid, &status, WNOHANG) == pid) ended = true;
    return ended;
  }

  bool ends_within(std::chrono::seconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (!look() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return look();
  }

  // Empty while it runs.
  std::string ending() {
    if (!look()) return {};
    if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
    return "ended with code " + std::to_string(WEXITSTATUS(status));
  }

  // Why it never came to listen.
  tl::unexpected<Error> not_started(bool closed, const std::string& words) {
    if (!closed || !ends_within(kStopTime))
      return fail(Errc::deadline, "the server did not start in time (", kStartTime.count(), " s)");
    const Errc code = error_of(status);
    if (code != Errc::internal && !words.empty())
      return fail(code, "the server did not start: ", words);
    return fail(code, "the server did not start: it ", ending(), words.empty() ? "" : ": ", words);
  }
};

ServerProcess::ServerProcess(std::unique_ptr<State> state) : state_(std::move(state)) {}
ServerProcess::ServerProcess(ServerProcess&&) noexcept = default;
ServerProcess& ServerProcess::operator=(ServerProcess&&) noexcept = default;
ServerProcess::~ServerProcess() = default;

Result<ServerProcess> ServerProcess::start(const std::vector<std::string>& options) {
  // All that allocates comes before the fork.
  std::vector<std::string> arguments{"dermlens", "serve", "--host", "127.0.0.1", "--port", "0"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (!meant_for_servers(*variable)) variables.emplace_back(*variable);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> environment = pointers(variables);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail(Errc::io, "no pipe (", std::strerror(errno), ")");
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(ends[1], STDERR_FILENO);
    ::dup2(ends[1], STDOUT_FILENO);
    ::execve("/proc/self/exe", argv.data(), environment.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  auto state = std::make_unique<State>();
  state->pipe = ends[0];
  state->pid = child;
  if (child < 0) return fail(Errc::io, "no process (", std::strerror(errno), ")");
  State& shared = *state;
  shared.reader = std::thread([&shared] { shared.listen_to_it(); });
  std::unique_lock lock(shared.mutex);
  shared.news.wait_for(lock, kStartTime, [&] { return !shared.port.empty() || shared.silent; });
  if (shared.port.empty()) {
    const bool closed = shared.silent;
    const std::string words = last_words(shared.tail);
    lock.unlock();
    return shared.not_started(closed, words);
  }
  lock.unlock();
  return ServerProcess(std::move(state));
}

Endpoint ServerProcess::endpoint() const { return {"127.0.0.1", state_->port}; }

std::string ServerProcess::ending() { return state_->ending(); }

Result<void> ServerProcess::stop() {
  if (!state_->look()) ::kill(state_->pid, SIGTERM);
  if (!state_->ends_within(kStopTime)) {
    ::kill(state_->pid, SIGKILL);
    ::waitpid(state_->pid, &state_->status, 0);
    state_->ended = true;
    return fail(Errc::internal, "the server did not end on SIGTERM (", kStopTime.count(), " s)");
  }
  if (WIFEXITED(state_->status) && WEXITSTATUS(state_->status) == 0) return {};
  return fail(Errc::internal, "the server ", ending());
}

}  // namespace dermlens::probe
