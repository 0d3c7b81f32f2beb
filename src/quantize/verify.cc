#include "quantize/verify.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <boost/json/value_to.hpp>
#include <cmath>
#include <filesystem>

#include "base/mapped_file.h"
#include "memory/process.h"

namespace dermlens::quantize {
namespace {

namespace json = boost::json;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Pearson's of a heatmap with what became of it: 0 where that says nothing (none, constant),
// nullopt where the first says nothing already.
std::optional<double> correlation(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.empty()) return std::nullopt;
  if (a.size() != b.size()) return 0;
  const auto n = static_cast<double>(a.size());
  double sum_a = 0, sum_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum_a += static_cast<double>(a[i]);
    sum_b += static_cast<double>(b[i]);
  }
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]) - sum_a / n;
    const double y = static_cast<double>(b[i]) - sum_b / n;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  if (aa <= 0) return std::nullopt;
  return bb <= 0 ? 0 : ab / std::sqrt(aa * bb);
}

std::size_t top_of(const std::vector<double>& probabilities) {
  return static_cast<std::size_t>(std::ranges::max_element(probabilities) - probabilities.begin());
}

}  // namespace

Result<Measurement> measure(const std::string& model, const std::vector<std::string>& photos,
                            const diagnose::LoadOptions& options, Ledger& ledger) {
  TRY(const auto loaded, diagnose::Model::load(model, options, ledger));
  diagnose::Request request;
  request.overlay = false;
  request.explain = !loaded->layers().empty();
  Measurement out;
  std::vector<double> latencies;
  for (const std::string& photo : photos) {
    out.probabilities.emplace_back();
    out.maps.emplace_back();
    const auto file = MappedFile::open(photo);
    if (!file) continue;
    const auto answer = loaded->answer((*file)->bytes(), request);
    if (!answer) continue;
    std::vector<double> probabilities(answer->predictions.size());
    for (const diagnose::Prediction& prediction : answer->predictions)
      probabilities[prediction.class_id] = prediction.probability;
    out.probabilities.back() = std::move(probabilities);
    if (answer->explanation && !answer->explanation->degenerate)
      out.maps.back() = answer->explanation->map;
    latencies.push_back(answer->timing.forward + answer->timing.backward);
  }
  out.latency_ms = median(std::move(latencies));
  std::error_code error;
  out.file_bytes = std::filesystem::file_size(model, error);
  out.peak_bytes = read_process_memory().peak_rss;
  return out;
}

std::string to_text(const Measurement& measurement) {
  return json::serialize(
      json::object{{"file_bytes", measurement.file_bytes},
                   {"peak_bytes", measurement.peak_bytes},
                   {"latency_ms", measurement.latency_ms},
                   {"probabilities", json::value_from(measurement.probabilities)},
                   {"maps", json::value_from(measurement.maps)}});
}

Result<Measurement> from_text(const std::string& text) {
  try {
    const json::value value = json::parse(text);
    Measurement out;
    out.file_bytes = value.at("file_bytes").to_number<Bytes>();
    out.peak_bytes = value.at("peak_bytes").to_number<Bytes>();
    out.latency_ms = value.at("latency_ms").to_number<double>();
    out.probabilities = json::value_to<std::vector<std::vector<double>>>(value.at("probabilities"));
    out.maps = json::value_to<std::vector<std::vector<float>>>(value.at("maps"));
    return out;
  } catch (const std::exception& error) {
    return fail(Errc::malformed, "no measurement (", error.what(), ")");
  }
}

Result<Comparison> compare(const Measurement& reference, const Measurement& other,
                           const std::vector<bool>& which) {
  if (reference.probabilities.size() != other.probabilities.size())
    return fail(Errc::malformed, "measured on different photos (", reference.probabilities.size(),
                ", ", other.probabilities.size(), ")");
  Comparison out;
  double agreeing = 0, correlated = 0;
  for (std::size_t i = 0; i < reference.probabilities.size(); ++i) {
    const auto& a = reference.probabilities[i];
    const auto& b = other.probabilities[i];
    if (a.empty() || (i < which.size() && !which[i])) continue;
    ++out.photos;
    if (b.empty()) {
      ++out.unanswered;
      out.largest_change = 1;
    } else if (a.size() != b.size()) {
      return fail(Errc::malformed, "the models know different classes (", a.size(), ", ", b.size(),
                  ")");
    } else if (top_of(a) == top_of(b)) {
      ++agreeing;
    }
    for (std::size_t c = 0; c < b.size(); ++c)
      out.largest_change = std::max(out.largest_change, std::abs(a[c] - b[c]));
    if (const auto r = correlation(reference.maps[i], other.maps[i])) {
      correlated += *r;
      ++out.heatmaps;
    }
  }
  if (out.photos == 0) return fail(Errc::malformed, "no photo was answered");
  out.agreement = agreeing / static_cast<double>(out.photos);
  if (out.heatmaps > 0) out.heatmap_correlation = correlated / static_cast<double>(out.heatmaps);
  return out;
}

}  // namespace dermlens::quantize
