// Every key is somebody else's: looked for, never assumed.
#include "probe/memory_reading.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <optional>

namespace dermlens::probe {

namespace json = boost::json;

namespace {

std::optional<double> number(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

std::optional<bool> truth(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_bool()) return std::nullopt;
  return value->as_bool();
}

const json::object* child(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

}  // namespace

Result<MemoryReading> parse_memory(std::string_view text) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  const json::object* whole = error ? nullptr : value.if_object();
  if (whole == nullptr) return fail(Errc::malformed, "/memory/ is not a JSON object");
  const json::object* memory = child(*whole, "memory");
  constexpr double kMissing = -1;
  const double rss = memory != nullptr ? number(*memory, "rss_mb").value_or(kMissing) : kMissing;
  const auto loaded = truth(*whole, "model_loaded");
  const auto gradcam = truth(*whole, "gradcam_enabled");
  if (rss < 0 || !loaded || !gradcam)
    return fail(Errc::malformed, "/memory/ lacks rss_mb, model_loaded or gradcam_enabled");
  MemoryReading reading;
  reading.rss = rss;
  reading.peak = number(*memory, "peak_rss_mb").value_or(rss);
  reading.anon = number(*memory, "anon_mb").value_or(rss);
  reading.limit = number(*whole, "limit_mb").value_or(0);
  if (const json::object* ledger = child(*whole, "ledger"))
    reading.results = number(*ledger, "results").value_or(0) / kMebibyte;
  reading.model_loaded = *loaded;
  reading.gradcam_enabled = *gradcam;
  return reading;
}

}  // namespace dermlens::probe
