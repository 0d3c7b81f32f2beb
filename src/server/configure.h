// How the server runs its model under the limit: placement and sessions as `capacity` chooses them.
// The survey runs in a short-lived child process, so that the server itself stays as small as it
// was.
#pragma once

#include <chrono>
#include <string>

#include "memory/limit.h"
#include "server/options.h"

namespace dermlens::server {

struct Configuration {
  int sessions = 1;
  plan::Placement placement = plan::Placement::automatic;
  Bytes code = 0;        // measured: what the engine adds to the bare process; 0: not known
  Bytes peak = 0;        // predicted; 0: not known
  std::string sentence;  // for people
};

// Call it before any thread is started: it forks. `base` is what the process takes already. Fails
// with over_limit, carrying what would do, where not even one request fits; or as reading the model
// does. Where the child dies or gives no answer in time, the configuration is the one that asks
// for least. Without a model there is nothing to survey.
Result<Configuration> configure(const Options& options, const MemoryLimit& limit, Bytes base,
                                std::chrono::seconds patience = std::chrono::seconds(60));

}  // namespace dermlens::server
