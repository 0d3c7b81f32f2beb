// The steps of the selftest and what they share. Each returns what it saw; a fault in words makes
// the step fail, an Error (no answer, not the answer it needs to go on) does so as well.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "probe/memory_reading.h"
#include "probe/selftest.h"

namespace dermlens::probe {

// MB. Readings are rounded to tenths, and the heap keeps a few pages here and there; the seed crept
// by half a megabyte an upload.
inline constexpr double kMostGrowth = 1.0;

struct Outcome {
  std::string ours;
  std::string fault;
};

// The probabilities by class, to compare answers with.
using Probabilities = std::map<std::int64_t, double>;

struct Selftest {
  Selftest(const SelftestPlan& given_plan, const Photos& given_photos)
      : plan(given_plan), photos(given_photos), client(given_plan.endpoint, given_plan.headers) {}

  const SelftestPlan& plan;
  const Photos& photos;
  HttpClient client;
  Figures figures;
  MemoryReading idle;
  Probabilities reference;  // of photos.small

  // GET /memory/; keeps the highest peak and the limit in `figures`.
  Result<MemoryReading> read_memory();
  // Uploads a photo as the seed's page does and looks at its result and, where heatmaps are on, at
  // its heatmap; returns its id.
  Result<std::string> upload(const std::string& photo);
  // The result is gone afterwards: a server with little memory may have forgotten it before.
  Result<void> delete_result(const std::string& id);
  // Where photos are sent to, nothing kept: for a heatmap, or without one where they are off.
  std::string route() const;
  // POST to it with a photo's bytes; of a heatmap, only the map comes back.
  Result<Reply> ask(std::string_view photo);
  // What route() answers, read_answer or read_predictions.
  Result<Probabilities> read(std::string_view json) const;
  // "peak is over the limit" or empty.
  std::string over_limit() const;
};

// "54.4"
std::string tenths(double value);
// "1,234"
std::string thousands(std::uint64_t value);

// Fails with malformed where an answer of the native API is not whole: probabilities that
// sum to 1, and a map as large as its grid.
Result<Probabilities> read_answer(std::string_view json);
// The same without the map.
Result<Probabilities> read_predictions(std::string_view json);
// Empty where both agree within 1e-4.
std::string difference(const Probabilities& a, const Probabilities& b);

Result<Outcome> step_idle(Selftest& test);
Result<Outcome> step_first(Selftest& test);
Result<Outcome> step_three_at_once(Selftest& test);
Result<Outcome> step_ten_in_a_row(Selftest& test);
Result<Outcome> step_many_clients(Selftest& test);
Result<Outcome> step_load_cycles(Selftest& test);
Result<Outcome> step_large_photo(Selftest& test);
Result<Outcome> step_broken_files(Selftest& test);
Result<Outcome> step_end(Selftest& test);

}  // namespace dermlens::probe
