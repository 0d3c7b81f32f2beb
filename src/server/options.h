// What `dermlens serve` can be told.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "plan/plan.h"

namespace dermlens::server {

struct Options {
  std::string host = "127.0.0.1";
  unsigned short port = 8000;  // 0: any free one, printed at start
  std::optional<Bytes> memory_limit;
  std::string model;  // path; empty only with model_dir
  std::string model_dir;
  int threads = 1;   // per request
  int sessions = 0;  // requests computed at once; 0: one a processor
  plan::Placement placement = plan::Placement::automatic;
  std::string cache_dir;  // packs; empty: none are kept
  bool explain = true;    // ENABLE_GRADCAM

  Bytes max_upload = Bytes{15} << 20;
  Bytes max_pixels = 50'000'000;
  std::size_t queue = 64;
  std::chrono::milliseconds deadline{30'000};
  bool preload = false;
  std::chrono::milliseconds idle_unload{0};  // 0: never
  std::chrono::seconds result_ttl{15 * 60};

  std::string history;   // file; empty: none is kept
  int history_days = 0;  // 0: for ever
  std::string api_token_file;
  std::string cors_origin;
  std::string web_dir;  // serves the page from there, for development
  LogFormat log_format = LogFormat::text;

  // Bounds on clients.
  std::size_t max_connections = 512;
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds body_stall{15'000};  // without a single byte
  std::chrono::milliseconds write_timeout{30'000};
};

}  // namespace dermlens::server
