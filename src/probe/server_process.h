// A server of our own to measure: this very executable as `serve` on a free port, in a process that
// ends with us.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "probe/http.h"

namespace dermlens::probe {

// One thread at a time.
class ServerProcess {
 public:
  // Starts `dermlens serve --host 127.0.0.1 --port 0 OPTIONS...` and waits until it listens. What
  // the environment says to servers (DERMLENS_..., PORT, ENABLE_GRADCAM, PRELOAD_MODEL) is kept
  // from it. Fails with io, with deadline (60 s), or with the server's own last words where it
  // ended at once: with usage, malformed or over_limit by its exit code, with internal for any
  // other end.
  static Result<ServerProcess> start(const std::vector<std::string>& options);

  ServerProcess(ServerProcess&&) noexcept;
  ServerProcess& operator=(ServerProcess&&) noexcept;
  // Kills what still runs.
  ~ServerProcess();

  Endpoint endpoint() const;
  // How it ended: empty while it runs, else "ended by signal 9", "ended with code 5".
  std::string ending();
  // SIGTERM, and SIGKILL where that has not ended it (40 s). Fails with internal where it did
  // not end by itself with code 0.
  Result<void> stop();

 private:
  struct State;
  explicit ServerProcess(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dermlens::probe
