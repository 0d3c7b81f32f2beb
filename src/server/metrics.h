// Counters and histograms in Prometheus' text format, version 0.0.4. Any thread may count; one
// mutex, held for a few instructions.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace dermlens::server {

// Counts of durations in fixed buckets, in seconds.
class Histogram {
 public:
  static constexpr std::array<double, 14> kBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                  0.25,  0.5,    1,     2.5,  5,     10,   30};
  void observe(double seconds);
  // Appends the _bucket, _sum and _count lines; `labels` is `name="value"` or empty.
  void write(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  std::array<std::uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

class Metrics {
 public:
  void request(std::string_view route, unsigned status, double seconds);
  void queued(double seconds);
  void inferred(double seconds);
  void explained(std::string_view method, double seconds);
  void loaded(double seconds);
  void image_rejected(std::string_view reason);
  void degenerate();

  std::uint64_t requests() const;

  // What was counted here, as exposition text.
  void write(std::string& out) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, unsigned>, std::uint64_t> requests_;
  std::map<std::string, std::uint64_t, std::less<>> rejected_;
  std::map<std::string, Histogram, std::less<>> explain_;
  Histogram request_, queue_, inference_, load_;
  std::uint64_t degenerate_ = 0;
  std::uint64_t total_ = 0;
};

// `# HELP` and `# TYPE` lines of one metric.
void write_metric_head(std::string& out, std::string_view name, std::string_view type,
                       std::string_view help);
// `name{labels} value`; `labels` may be empty.
void write_sample(std::string& out, std::string_view name, std::string_view labels, double value);
// name="value" with the value escaped.
std::string metric_label(std::string_view name, std::string_view value);

}  // namespace dermlens::server
