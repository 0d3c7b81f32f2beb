// How the server runs its model under the limit: placement and sessions as `capacity` chooses them.
// The survey runs in a short-lived child process, so that the server itself stays as small as it
// was.
#pragma once

#include <signal.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "capacity/capacity.h"
#include "memory/limit.h"
#include "server/options.h"

namespace dermlens::server {

struct Configuration {
  int sessions = 1;
  plan::Placement placement = plan::Placement::automatic;
  bool heatmaps = true;
  Bytes code = 0;          // measured: what the engine adds to the bare process; 0: not known
  Bytes reserved = 0;      // what the ledger must grant; 0: not known
  Bytes peak = 0;          // predicted; 0: not known
  Bytes request_room = 0;  // what a request reserves beside its session
  // Whether room for part of the mapped weights is left to the kernel: under a control group only.
  bool let_reclaim = false;
  std::optional<plan::Plan> plan;   // of the surveyed model; empty: not known
  std::string sentence;             // for people
  std::vector<capacity::Way> ways;  // all that was surveyed; empty: nothing is known
};

// Those that ask a server to end: SIGTERM and SIGINT.
sigset_t ending_signals();

// Call it before any thread is started: it forks. `base` is what the process takes already. The
// model is the default one, else the first of the folder. Fails with over_limit, carrying what
// would do, where not even one request fits; or as reading the default model does. Where the child
// dies or gives no answer in time, the configuration is the one that asks for least. Where the
// ending signals are blocked and one comes meanwhile, fails with cancelled; no child is left.
Result<Configuration> configure(const Options& options, const MemoryLimit& limit, Bytes base,
                                std::chrono::seconds patience = std::chrono::seconds(60));

// The configuration for another limit, out of what was surveyed. Under a control group's, mapped
// weights may stand in for resident ones that no longer fit (plan::Plan::let_reclaim). Fails with
// over_limit where not even one request fits; the same one where nothing is known.
Result<Configuration> configure_anew(const Configuration& before, const Options& options,
                                     const MemoryLimit& limit);

}  // namespace dermlens::server
