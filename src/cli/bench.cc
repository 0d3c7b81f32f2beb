// dermlens bench: peak memory and latency of each configuration, every one in a fresh process, in
// one table. bench/README.md says how the figures compare with those of other systems.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/input_image.h"
#include "cli/render.h"
#include "memory/process.h"
#include "probe/fresh_process.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string image;
  int runs = 20;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

double now_ms() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Runs one configuration in this process and reports as JSON text.
Result<std::string> measure(const CommonOptions& common, const Options& options, bool heatmap) {
  const double start = now_ms();
  TRY(Engine engine, load_engine(common, heatmap));
  const double loaded = now_ms();
  diagnose::Request request;
  request.explain = heatmap;
  request.overlay = heatmap;
  std::vector<double> inference, forward, backward, decode, render, whole;
  double first = 0;
  for (int run = 0; run <= options.runs; ++run) {
    const double before = now_ms();
    TRY(const diagnose::Answer answer, answer_file(*engine.model, options.image, request));
    if (run == 0) {
      first = now_ms() - start;
      continue;
    }
    whole.push_back(now_ms() - before);
    forward.push_back(answer.timing.forward);
    backward.push_back(answer.timing.backward);
    inference.push_back(answer.timing.forward + answer.timing.backward);
    decode.push_back(answer.timing.decode);
    render.push_back(answer.timing.render);
  }
  const ProcessMemory memory = read_process_memory();
  const plan::Plan& plan = engine.model->plan();
  return json::serialize(json::object{
      {"system", "dermlens"},
      {"configuration", std::string(to_string(plan.placement)) + " fp32"},
      {"gradcam", heatmap},
      {"runs", options.runs},
      {"load_ms", loaded - start},
      {"first_ms", first},
      {"median_ms", median(inference)},
      {"forward_ms", median(forward)},
      {"backward_ms", median(backward)},
      {"decode_ms", median(decode)},
      {"render_ms", median(render)},
      {"whole_ms", median(whole)},
      {"peak_bytes", memory.peak_rss},
      {"anon_bytes", memory.anon},
      {"file_bytes", memory.file},
      {"pack_built", engine.model->pack_built()},
  });
}

std::string fixed(const json::object& report, const char* key, double scale, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, report.at(key).to_number<double>() / scale);
  return text;
}

void print_human(const json::array& results) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  std::vector<std::vector<std::string>> rows{{"configuration", "heatmap", "load ms", "first ms",
                                              "forward ms", "backward ms", "decode ms", "render ms",
                                              "whole ms", "peak MB", "anon MB", "file MB"}};
  for (const json::value& result : results) {
    const json::object& report = result.as_object();
    std::vector<std::string> row{std::string(report.at("configuration").as_string()),
                                 report.at("gradcam").as_bool() ? "yes" : "no"};
    for (const char* key : {"load_ms", "first_ms"}) row.push_back(fixed(report, key, 1, "%.0f"));
    for (const char* key : {"forward_ms", "backward_ms", "decode_ms", "render_ms", "whole_ms"})
      row.push_back(fixed(report, key, 1, "%.2f"));
    for (const char* key : {"peak_bytes", "anon_bytes", "file_bytes"})
      row.push_back(fixed(report, key, kMebibyte, "%.1f"));
    rows.push_back(std::move(row));
  }
  print_table(std::cout, rows, "", {2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
}

Result<int> bench(const CommonOptions& common, const Options& options) {
  std::vector<std::string> placements{common.weights};
  if (common.weights == "auto") placements = {"resident", "mapped", "streamed"};
  json::array results;
  for (const std::string& placement : placements) {
    for (const bool heatmap : {false, true}) {
      CommonOptions one = common;
      one.weights = placement;
      TRY(const std::string text, in_fresh_process([&] { return measure(one, options, heatmap); }));
      results.push_back(json::parse(text));
    }
  }
  if (common.json) {
    std::cout << json::serialize(json::object{{"results", std::move(results)}}) << '\n';
  } else {
    print_human(results);
  }
  return kDone;
}

}  // namespace

void add_bench(Application& application) {
  CLI::App* command = application.command(
      "bench", "Latency and peak memory of each placement, each in a fresh process",
      "dermlens bench --image photo.jpg --runs 20");
  auto options = std::make_shared<Options>();
  command->add_option("--image", options->image, "The photo of every run")->required();
  command->add_option("--runs", options->runs, "Runs after the first one")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, bench);
}

}  // namespace dermlens::cli
