// What GET /memory/ says, as a user reads it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace dermlens::probe {

// Megabytes are 2^20 bytes, as the server rounds them: to a tenth.
struct MemoryReading {
  double rss = 0;
  double peak = 0;     // the high-water mark of rss
  double anon = 0;     // what nobody can take back
  double results = 0;  // of it: results kept for a while, which their owners may still want
  double limit = 0;    // 0: the server names none
  bool model_loaded = false;
  bool gradcam_enabled = false;

  // What requests have left behind.
  double held() const { return anon - results; }
};

// Fails with malformed where the seed's keys are missing; ours may be (an older server): the peak
// is then the rss of that moment.
Result<MemoryReading> parse_memory(std::string_view json);

}  // namespace dermlens::probe
