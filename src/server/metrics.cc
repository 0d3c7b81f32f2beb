// Prometheus exposition; integers are printed as such, so that byte counts stay exact.
#include "server/metrics.h"

#include <cmath>
#include <cstdio>

namespace dermlens::server {
namespace {

std::string number(double value) {
  std::array<char, 40> text{};
  if (value == std::floor(value) && std::abs(value) < 1e15)
    std::snprintf(text.data(), text.size(), "%.0f", value);
  else
    std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

}  // namespace

void write_metric_head(std::string& out, std::string_view name, std::string_view type,
                       std::string_view help) {
  ((out += "# HELP ") += name) += ' ';
  ((out += help) += "\n# TYPE ") += name;
  ((out += ' ') += type) += '\n';
}

void write_sample(std::string& out, std::string_view name, std::string_view labels, double value) {
  out += name;
  if (!labels.empty()) ((out += '{') += labels) += '}';
  ((out += ' ') += number(value)) += '\n';
}

std::string metric_label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text += '"';
}

void Histogram::observe(double seconds) {
  std::size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
  ++counts_[bucket];
  sum_ += seconds;
}

void Histogram::write(std::string& out, std::string_view name, std::string_view labels) const {
  const std::string head(name);
  const std::string comma = labels.empty() ? "" : std::string(labels) + ",";
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < kBounds.size() ? number(kBounds[i]) : "+Inf";
    write_sample(out, head + "_bucket", comma + metric_label("le", bound),
                 static_cast<double>(total));
  }
  write_sample(out, head + "_sum", labels, sum_);
  write_sample(out, head + "_count", labels, static_cast<double>(total));
}

void Metrics::request(std::string_view route, unsigned status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(route), status}];
  ++total_;
  request_.observe(seconds);
}

void Metrics::queued(double seconds) {
  const std::lock_guard lock(mutex_);
  queue_.observe(seconds);
}

void Metrics::inferred(double seconds) {
  const std::lock_guard lock(mutex_);
  inference_.observe(seconds);
}

void Metrics::explained(std::string_view method, double seconds) {
  const std::lock_guard lock(mutex_);
  explain_[std::string(method)].observe(seconds);
}

void Metrics::loaded(double seconds) {
  const std::lock_guard lock(mutex_);
  load_.observe(seconds);
}

void Metrics::image_rejected(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  ++rejected_[std::string(reason)];
}

void Metrics::degenerate() {
  const std::lock_guard lock(mutex_);
  ++degenerate_;
}

std::uint64_t Metrics::requests() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

void Metrics::write(std::string& out) const {
  const std::lock_guard lock(mutex_);
  const auto histogram = [&out](std::string_view name, std::string_view help,
                                const Histogram& values) {
    write_metric_head(out, name, "histogram", help);
    values.write(out, name, {});
  };
  write_metric_head(out, "dermlens_requests_total", "counter", "Requests answered.");
  for (const auto& [key, count] : requests_)
    write_sample(
        out, "dermlens_requests_total",
        metric_label("route", key.first) + "," + metric_label("code", std::to_string(key.second)),
        static_cast<double>(count));
  histogram("dermlens_request_duration_seconds", "From a request's header to its answer.",
            request_);
  histogram("dermlens_queue_duration_seconds", "Waiting for a session.", queue_);
  histogram("dermlens_inference_duration_seconds", "Decoding and forward pass.", inference_);
  histogram("dermlens_model_load_duration_seconds", "Loading a model.", load_);
  write_metric_head(out, "dermlens_explain_duration_seconds", "histogram",
                    "Backward pass and rendering.");
  for (const auto& [method, values] : explain_)
    values.write(out, "dermlens_explain_duration_seconds", metric_label("method", method));
  write_metric_head(out, "dermlens_image_rejected_total", "counter", "Pictures not accepted.");
  for (const auto& [reason, count] : rejected_)
    write_sample(out, "dermlens_image_rejected_total", metric_label("reason", reason),
                 static_cast<double>(count));
  write_metric_head(out, "dermlens_heatmap_degenerate_total", "counter",
                    "Heatmaps that say nothing.");
  write_sample(out, "dermlens_heatmap_degenerate_total", {}, static_cast<double>(degenerate_));
}

}  // namespace dermlens::server
