// fork, a pipe, and wait.
#include "probe/fresh_process.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace dermlens {
namespace {

// The child's message: one byte for success or the error's code, then text.
constexpr char kSuccess = 0x7f;

[[noreturn]] void run_child(int pipe, const std::function<Result<std::string>()>& work) {
  const Result<std::string> result = work();
  std::string message;
  if (result) {
    message = kSuccess + *result;
  } else {
    message = static_cast<char>(result.error().code) + result.error().message;
  }
  for (std::size_t sent = 0; sent < message.size();) {
    const ssize_t written = ::write(pipe, message.data() + sent, message.size() - sent);
    if (written <= 0) break;
    sent += static_cast<std::size_t>(written);
  }
  ::_exit(0);
}

std::string read_all(int pipe) {
  std::string message;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t length = ::read(pipe, buffer.data(), buffer.size());
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return message;
    message.append(buffer.data(), static_cast<std::size_t>(length));
  }
}

}  // namespace

Result<std::string> in_fresh_process(const std::function<Result<std::string>()>& work) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return fail(Errc::io, "no pipe (", std::strerror(errno), ")");
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::close(ends[0]);
    run_child(ends[1], work);
  }
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    return fail(Errc::io, "no process (", std::strerror(errno), ")");
  }
  const std::string message = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status))
    return fail(Errc::internal, "the process was ended by signal ", WTERMSIG(status));
  if (message.empty()) return fail(Errc::internal, "the process said nothing");
  if (message.front() == kSuccess) return message.substr(1);
  return fail(static_cast<Errc>(message.front()), message.substr(1));
}

}  // namespace dermlens
