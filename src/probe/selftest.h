// The seed's manual test procedure and what we add to it, run against a real server over HTTP, with
// /memory/ read as a user would read it. Says what the seed's authors expected beside what is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "probe/http.h"
#include "probe/server_process.h"

namespace dermlens::probe {

// Encoded pictures, made by the caller.
struct Photos {
  struct Broken {
    std::string name;
    std::string bytes;
  };
  std::string phone;  // 12 megapixels, what people upload
  std::string small;  // for thousands of requests
  std::string large;  // 50 megapixels
  std::vector<Broken> broken;
};

struct SelftestPlan {
  Endpoint endpoint;
  std::vector<Header> headers;      // with every request (Authorization)
  ServerProcess* server = nullptr;  // ours: it must begin idle, and end with code 0
  unsigned clients = 64;
  std::uint64_t requests = 2000;
  unsigned cycles = 10;
  std::chrono::seconds load_budget{90};  // of the many requests
};

struct Step {
  std::string name;
  std::string seed;   // what the seed's authors expected
  std::string ours;   // what happened
  std::string fault;  // empty: passed
  double seconds = 0;

  bool passed() const { return fault.empty(); }
};

// What the seed's decision matrix looks at, in megabytes.
struct Figures {
  double idle = 0;
  double peak = 0;
  double limit = 0;
  double growth = 0;  // over ten uploads
  bool measured = false;
  bool growth_measured = false;
  bool stable = false;           // where the growth was measured
  bool heatmaps = true;          // gradcam_enabled, as the idle server says it
  bool failed_requests = false;  // the seed's out of memory
};

struct SelftestReport {
  std::vector<Step> steps;
  Figures figures;
  double seconds = 0;

  bool passed() const;
};

// The outcome of the seed's decision matrix, in its words.
std::string decide(const Figures& figures);

// Never fails: what goes wrong is a step's fault. `on_step` is told of each step when it is over.
SelftestReport run_selftest(const SelftestPlan& plan, const Photos& photos,
                            const std::function<void(const Step&)>& on_step);

}  // namespace dermlens::probe
