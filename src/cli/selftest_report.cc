// One report, three readers.
#include "cli/selftest_report.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdio>

#include "cli/application.h"
#include "cli/render.h"
#include "diagnose/json_text.h"

namespace dermlens::cli {

namespace json = boost::json;
using probe::Figures;
using probe::SelftestReport;
using probe::Step;

namespace {

std::string seconds_text(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", seconds);
  return text.data();
}

// What a server said may hold anything; XML 1.0 allows no control characters.
std::string xml(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

void print_selftest(std::ostream& out, const SelftestReport& report) {
  std::vector<std::vector<std::string>> rows{
      {"step", "the seed expects", "here", "seconds", "verdict"}};
  for (const Step& step : report.steps)
    rows.push_back({step.name, step.seed, printable(step.ours), seconds_text(step.seconds),
                    step.passed() ? "passed" : "FAILED"});
  print_table(out, rows, "", {3});
  for (const Step& step : report.steps)
    if (!step.passed()) out << step.name << ": " << printable(step.fault) << '\n';
  const auto passed = std::ranges::count_if(report.steps, &Step::passed);
  out << "decision: " << probe::decide(report.figures) << '\n'
      << "verdict: " << (report.passed() ? "passed" : "FAILED") << ", " << passed << " of "
      << report.steps.size() << " steps, " << seconds_text(report.seconds) << " s\n";
}

std::string selftest_json(const SelftestReport& report) {
  json::array steps;
  for (const Step& step : report.steps)
    steps.push_back({{"step", step.name},
                     {"seed", step.seed},
                     {"here", step.ours},
                     {"fault", step.fault},
                     {"seconds", step.seconds},
                     {"passed", step.passed()}});
  const Figures& figures = report.figures;
  const json::value unknown = nullptr;
  const bool grown = figures.growth_measured;
  return to_text(json::object{{"steps", std::move(steps)},
                              {"figures",
                               {{"idle_mb", figures.idle},
                                {"peak_mb", figures.peak},
                                {"limit_mb", figures.limit},
                                {"growth_mb", grown ? json::value(figures.growth) : unknown},
                                {"stable", grown ? json::value(figures.stable) : unknown}}},
                              {"decision", probe::decide(figures)},
                              {"seconds", report.seconds},
                              {"passed", report.passed()},
                              {"version", DERMLENS_VERSION}}) +
         "\n";
}

std::string selftest_junit(const SelftestReport& report) {
  const auto failures = static_cast<std::ptrdiff_t>(report.steps.size()) -
                        std::ranges::count_if(report.steps, &Step::passed);
  std::string out =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"dermlens selftest\"";
  out += " tests=\"" + std::to_string(report.steps.size()) + "\" failures=\"" +
         std::to_string(failures) + "\" errors=\"0\" time=\"" + seconds_text(report.seconds) +
         "\">\n";
  for (const Step& step : report.steps) {
    out += "  <testcase classname=\"selftest\" name=\"" + xml(step.name) + "\" time=\"" +
           seconds_text(step.seconds) + "\">\n";
    if (!step.passed()) out += "    <failure message=\"" + xml(step.fault) + "\"/>\n";
    out += "    <system-out>" + xml(step.ours) + "</system-out>\n  </testcase>\n";
  }
  return out + "</testsuite>\n";
}

}  // namespace dermlens::cli
