// Many clients at once: each a connection of its own, all on the caller's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "probe/http.h"

namespace dermlens::probe {

struct SwarmPlan {
  Endpoint endpoint;
  std::vector<Header> headers;  // with every request
  unsigned clients = 64;
  std::uint64_t requests = 2000;              // answers wanted in all
  std::chrono::milliseconds budget{60'000};   // after which no request is begun
  std::chrono::milliseconds timeout{60'000};  // of one exchange
  std::function<Request(std::uint64_t)> make;
  // What is wrong with an answer; empty where nothing is.
  std::function<std::string(const Reply&)> judge;
};

struct SwarmReport {
  std::uint64_t answered = 0;   // judged right
  std::uint64_t postponed = 0;  // 503 with Retry-After, asked again after that time
  std::uint64_t wrong = 0;      // any other answer, and exchanges that failed
  std::string first_wrong;
  std::vector<double> milliseconds;  // of each right answer
  double seconds = 0;
  bool budget_reached = false;

  double percentile(double fraction) const;  // 0 where nothing was answered
};

// Blocks until all is answered, the budget is reached, or a hundredth of the requests (8 at least)
// went wrong: a server that is gone is not asked two thousand times.
SwarmReport run_swarm(const SwarmPlan& plan);

}  // namespace dermlens::probe
