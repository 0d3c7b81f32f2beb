#include "cli/quantize_report.h"

#include <cstdio>
#include <iostream>

#include "cli/render.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

std::string number(double value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::vector<std::string> row_of(const std::string& name, const quantize::Measurement& of) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  return {name, number(static_cast<double>(of.file_bytes) / kMebibyte, "%.1f"),
          number(static_cast<double>(of.peak_bytes) / kMebibyte, "%.1f"),
          number(of.latency_ms, "%.1f")};
}

std::vector<std::string> comparison_of(const quantize::Comparison& seen) {
  return {percent(seen.agreement), number(seen.largest_change, "%.4f"),
          seen.heatmaps > 0 ? number(seen.heatmap_correlation, "%.4f") : "-"};
}

json::object to_json(const quantize::Measurement& measured) {
  return {{"file_bytes", measured.file_bytes},
          {"peak_bytes", measured.peak_bytes},
          {"latency_ms", measured.latency_ms}};
}

json::object to_json(const quantize::Comparison& seen) {
  return {{"photos", seen.photos},       {"unanswered", seen.unanswered},
          {"agreement", seen.agreement}, {"largest_probability_change", seen.largest_change},
          {"heatmaps", seen.heatmaps},   {"heatmap_correlation", seen.heatmap_correlation}};
}

}  // namespace

void print_verdict(const QuantizeVerdict& verdict) {
  auto before = row_of("before", verdict.before), after = row_of(verdict.to, verdict.after);
  before.resize(before.size() + 4);
  after.push_back(number(verdict.speedup, "%.2f x"));
  for (std::string& cell : comparison_of(verdict.all)) after.push_back(std::move(cell));
  print_table(
      std::cout,
      {{"model", "file MB", "peak MB", "ms", "faster", "agreement", "largest change", "heatmaps"},
       before,
       after},
      "", {1, 2, 3, 4, 5, 6, 7});
  if (verdict.seen > 0) {
    std::cout << verdict.seen << " of the " << verdict.all.photos << " photos were calibrated on";
    if (verdict.held_out) {
      const auto cells = comparison_of(*verdict.held_out);
      std::cout << "; the other " << verdict.held_out->photos << " alone: agreement " << cells[0]
                << ", largest change " << cells[1] << ", heatmaps " << cells[2];
    }
    std::cout << '\n';
  }
  std::cout << (verdict.passed() ? "passed" : "FAILED") << ": " << verdict.all.photos << " photos"
            << (verdict.all.unanswered == 0 ? std::string()
                                            : ", " + std::to_string(verdict.all.unanswered) +
                                                  " of them not answered any more")
            << ", change allowed " << number(verdict.change_allowed, "%.3f")
            << ", agreement wanted " << percent(verdict.agreement_wanted)
            << "; faster is the median of " << verdict.turns << " turns\n";
}

json::object to_json(const QuantizeVerdict& verdict) {
  json::object out = to_json(verdict.all);
  out.emplace("before", to_json(verdict.before));
  out.emplace("after", to_json(verdict.after));
  out.emplace("speedup", verdict.speedup);
  out.emplace("turns", verdict.turns);
  out.emplace("calibrated_on", verdict.seen);
  if (verdict.held_out) out.emplace("held_out", to_json(*verdict.held_out));
  out.emplace("max_probability_change", verdict.change_allowed);
  out.emplace("min_agreement", verdict.agreement_wanted);
  out.emplace("passed", verdict.passed());
  return out;
}

void print_written(const std::string& path, const std::string& to, const json::object& report) {
  const auto count = [&](const char* key) { return report.at(key).to_number<std::size_t>(); };
  std::cout << path << ": " << to << ", ";
  if (report.contains("convolutions")) {
    const std::size_t kept = report.at("kept_fp32").as_array().size();
    std::cout << count("convolutions") - kept << " of " << count("convolutions")
              << " convolutions in integers, " << kept << " left in fp32 (--json names them); "
              << count("calibrated_on") << " photos, activations clipped by "
              << std::string_view(report.at("clipping").as_string()) << ", " << count("trials")
              << " trials in " << number(report.at("seconds").to_number<double>(), "%.0f s");
  } else {
    std::cout << count("narrowed") << " tensors narrowed";
    if (count("already") > 0) std::cout << ", " << count("already") << " were so already";
    if (count("kept_for_the_heatmap") > 0)
      std::cout << ", " << count("kept_for_the_heatmap") << " kept as they were for the heatmap";
  }
  std::cout << "; computed here in " << std::string_view(report.at("computed").as_string()) << '\n'
            << std::flush;
  if (report.contains("warning")) print_warnings({std::string(report.at("warning").as_string())});
}

}  // namespace dermlens::cli
