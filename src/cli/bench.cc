// dermlens bench: peak memory, latency and throughput of each placement of one or more models,
// every figure from a fresh process, in turns, in one table, beside what this machine could do at
// best. bench/README.md says how the figures compare with those of other systems.
#include <sys/mman.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>

#include "base/descriptor.h"
#include "cli/bench_measure.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/render.h"
#include "cli/synthetic_photo.h"
#include "probe/fresh_process.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

// A cold run may take as long as the disk does: fewer of them do.
constexpr int kColdRuns = 5;

struct BenchOptions {
  std::string image;
  std::vector<std::string> also;
  std::vector<unsigned> clients;
  int runs = 20, turns = 1;
};

// One row: a model, a placement, with or without heatmap; a report for each turn.
struct Configuration {
  CommonOptions common;
  std::size_t model = 0;  // 0: the first
  bool heatmap = false;
  json::object work;  // work_of(model)
  std::vector<json::object> turns;
  std::optional<Error> misfit;  // why it cannot be had under the memory limit; no turns then

  std::string name() const {
    return common.weights + " " + std::string(work.at("stored").as_string());
  }

  double median(const char* key) const {
    std::vector<double> values;
    for (const json::object& turn : turns) values.push_back(turn.at(key).to_number<double>());
    std::ranges::sort(values);
    return values[values.size() / 2];
  }
  double most(const char* key) const {
    double most = 0;
    for (const json::object& turn : turns) most = std::max(most, turn.at(key).to_number<double>());
    return most;
  }
};

// The photo of every run: the user's, or one of our own that has no name, so that nothing of
// it is left whatever ends this process; the fresh ones inherit it.
class Photo {
 public:
  static Result<Photo> of(const BenchOptions& options) {
    if (!options.image.empty()) return Photo(options.image, Descriptor());
    constexpr Size kPhone{4000, 3000};
    Descriptor memory(::memfd_create("photo", MFD_CLOEXEC));
    const std::string path = "/proc/self/fd/" + std::to_string(memory.get());
    Photo photo(path, std::move(memory));
    TRY(const std::string bytes, synthetic_photo(kPhone));
    if (!(std::ofstream(photo.path_, std::ios::binary) << bytes).flush())
      return fail(Errc::io, "the made-up photo cannot be kept in memory");
    return photo;
  }
  const std::string& path() const { return path_; }

 private:
  Photo(std::string path, Descriptor ours) : path_(std::move(path)), ours_(std::move(ours)) {}
  std::string path_;
  Descriptor ours_;
};

Result<json::object> in_fresh(const std::function<Result<json::object>()>& work) {
  TRY(const std::string text, in_fresh_process([&]() -> Result<std::string> {
        TRY(const json::object report, work());
        return json::serialize(report);
      }));
  return json::parse(text).as_object();
}

Result<std::vector<Configuration>> configurations(const CommonOptions& common,
                                                  const BenchOptions& options) {
  TRY(const std::string first, find_model(common.model));
  std::vector<std::string> models{first}, placements{common.weights};
  models.insert(models.end(), options.also.begin(), options.also.end());
  if (common.weights == "auto") placements = {"resident", "mapped", "streamed"};
  std::vector<Configuration> all;
  for (std::size_t model = 0; model < models.size(); ++model) {
    TRY(const json::object work, in_fresh([&] { return work_of(models[model]); }));
    for (const std::string& placement : placements)
      for (const bool heatmap : {false, true}) {
        Configuration one{common, model, heatmap, work, {}, {}};
        one.common.model = models[model];
        one.common.weights = placement;
        all.push_back(std::move(one));
      }
  }
  return all;
}

// Least milliseconds for the model's multiplications at the machine's best rates, or for reading
// its weights once, whichever is more.
double floor_ms(const Configuration& one, const json::object& floor) {
  double compute = 0;
  for (const auto& [type, gflop] : one.work.at("gflop").as_object())
    compute += gflop.to_number<double>() /
               floor.at(std::string(type) + "_gflops").to_number<double>() * 1e3;
  const double read = one.median("weight_bytes") / floor.at("gigabytes").to_number<double>() / 1e6;
  return std::max(compute, read);
}

// Median over the turns of the first model's time divided by this one's, same placement, same turn;
// nullopt where the first does not fit.
std::optional<double> speedup(const Configuration& one, const std::vector<Configuration>& all) {
  for (const Configuration& base : all) {
    if (base.model != 0 || base.misfit || base.heatmap != one.heatmap ||
        base.common.weights != one.common.weights)
      continue;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < one.turns.size(); ++i)
      ratios.push_back(base.turns[i].at("median_ms").to_number<double>() /
                       one.turns[i].at("median_ms").to_number<double>());
    std::ranges::sort(ratios);
    return ratios[ratios.size() / 2];
  }
  return std::nullopt;
}

json::object summary(const Configuration& one, const std::vector<Configuration>& all,
                     const json::object& floor) {
  json::object out;
  if (!one.misfit) out = one.turns.front();
  out["configuration"] = one.name();
  out["model"] = one.common.model;
  out["computed"] = one.work.at("computed");
  out["gradcam"] = one.heatmap;
  out["fits"] = !one.misfit;
  if (one.misfit) {
    out["error"] = one.misfit->message;
    return out;
  }
  for (const char* key : {"load_ms", "first_ms", "cold_first_ms", "median_ms", "forward_ms",
                          "cold_forward_ms", "cold_read_bytes", "backward_ms", "decode_ms",
                          "render_ms", "whole_ms", "anon_bytes", "file_bytes"})
    out[key] = one.median(key);
  out["peak_bytes"] = one.most("peak_bytes");
  out["turns"] = one.turns.size();
  if (const auto faster = speedup(one, all)) out["speedup"] = *faster;
  out["floor_ms"] = floor_ms(one, floor);
  out["of_floor"] = one.median("forward_ms") / floor_ms(one, floor);
  return out;
}

bool is_misfit(const Error& error) { return exit_code(error.code) == kOverLimit; }

Result<json::object> measure_turn(const Configuration& one, const BenchOptions& options,
                                  const std::string& photo) {
  TRY(json::object report,
      in_fresh([&] { return measure_latency(one.common, photo, options.runs, one.heatmap); }));
  const std::string pack(report.at("pack").as_string());
  TRY(const json::object cold, in_fresh([&] {
        return measure_cold(one.common, photo, pack, std::min(options.runs, kColdRuns),
                            one.heatmap);
      }));
  report.insert(cold.begin(), cold.end());
  return report;
}

Result<json::array> measure_all(std::vector<Configuration>& all, const BenchOptions& options,
                                const std::string& photo, const json::object& floor) {
  for (int turn = 0; turn < options.turns; ++turn)
    for (Configuration& one : all) {
      if (one.misfit) continue;
      auto report = measure_turn(one, options, photo);
      if (report) {
        one.turns.push_back(std::move(*report));
      } else if (is_misfit(report.error())) {
        one.misfit = std::move(report).error();
        one.turns.clear();
        // The path of our own photo says nothing to anyone.
        if (options.image.empty() && one.misfit->message.starts_with(photo + ": "))
          one.misfit->message.erase(0, photo.size() + 2);
      } else {
        return tl::make_unexpected(std::move(report).error());
      }
    }
  if (std::ranges::all_of(all, [](const Configuration& one) { return one.misfit.has_value(); }))
    return within(all.back().name(), *all.back().misfit);
  json::array results;
  for (const Configuration& one : all) {
    json::object result = summary(one, all, floor);
    if (one.heatmap && !one.misfit && !options.clients.empty()) {
      const auto load =
          in_fresh([&] { return measure_throughput(one.common, photo, options.clients); });
      if (load)
        result.insert(load->begin(), load->end());
      else if (is_misfit(load.error()))
        result["server_error"] = load.error().message;
      else
        return tl::make_unexpected(load.error());
    }
    results.push_back(std::move(result));
  }
  return results;
}

std::string fixed(const json::object& report, const char* key, double scale, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, report.at(key).to_number<double>() / scale);
  return text;
}

std::vector<std::string> row_of(const json::object& report, const BenchOptions& options) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  std::vector<std::string> row{std::string(report.at("configuration").as_string()),
                               std::string(report.at("computed").as_string()),
                               report.at("gradcam").as_bool() ? "yes" : "no"};
  if (!report.at("fits").as_bool()) {
    row.emplace_back("does not fit");
    return row;
  }
  for (const char* key : {"first_ms", "cold_first_ms"})
    row.push_back(fixed(report, key, 1, "%.0f"));
  for (const char* key :
       {"forward_ms", "cold_forward_ms", "backward_ms", "decode_ms", "render_ms", "whole_ms"})
    row.push_back(fixed(report, key, 1, "%.1f"));
  row.push_back(report.contains("speedup") ? fixed(report, "speedup", 1, "%.2f") : "-");
  row.push_back(fixed(report, "of_floor", 1, "%.2f"));
  for (const char* key : {"peak_bytes", "anon_bytes", "file_bytes"})
    row.push_back(fixed(report, key, kMebibyte, "%.1f"));
  for (const unsigned clients : options.clients) {
    const json::value* rates = report.if_contains("requests_per_second");
    row.push_back(rates ? fixed(rates->as_object(), std::to_string(clients).c_str(), 1, "%.1f")
                  : report.contains("server_error") ? "does not fit"
                                                    : "");
  }
  return row;
}

void print_human(const json::array& results, const json::object& floor,
                 const BenchOptions& options) {
  std::cout << "this machine at best, one thread:";
  for (const auto& [key, value] : floor)
    if (key.ends_with("_gflops"))
      std::cout << ' ' << key.substr(0, key.find('_')) << ' '
                << fixed(floor, std::string(key).c_str(), 1, "%.0f") << " GFLOP/s,";
  std::cout << " memory " << fixed(floor, "gigabytes", 1, "%.1f") << " GB/s, disk "
            << fixed(floor, "disk_gigabytes", 1, "%.1f")
            << " GB/s\ncold: the model and its pack have to come from the disk\n";
  std::vector<std::vector<std::string>> rows{{"configuration", "computed", "heatmap", "first ms",
                                              "cold", "forward ms", "cold", "backward ms",
                                              "decode ms", "render ms", "whole ms", "faster",
                                              "x floor", "peak MB", "anon MB", "file MB"}};
  for (const unsigned clients : options.clients)
    rows.front().push_back("req/s at " + std::to_string(clients));
  std::vector<std::size_t> right;
  for (std::size_t i = 3; i < rows.front().size(); ++i) right.push_back(i);
  for (const json::value& result : results) rows.push_back(row_of(result.as_object(), options));
  print_table(std::cout, rows, "", right);
}

Result<int> bench(const CommonOptions& common, const BenchOptions& options) {
  TRY(const Photo photo, Photo::of(options));
  TRY(std::vector<Configuration> all, configurations(common, options));
  TRY(const json::object floor, in_fresh([&] { return measure_floor(all.front().common.model); }));
  TRY(json::array results, measure_all(all, options, photo.path(), floor));
  if (common.json) {
    print_json(std::cout, json::object{{"floor", floor}, {"results", std::move(results)}});
  } else {
    print_human(results, floor, options);
  }
  return kDone;
}

}  // namespace

void add_bench(Application& application) {
  CLI::App* command = application.command(
      "bench", "Latency, throughput and peak memory of each placement, each in a fresh process",
      "dermlens bench --image photo.jpg --also int8.onnx --turns 3 --clients 1,4,16");
  auto options = std::make_shared<BenchOptions>();
  command->add_option("--image", options->image,
                      "The photo of every run (default: one of 12 megapixels, made up)");
  command->add_option("--also", options->also,
                      "Another model to measure in turn with --model: the same, quantized");
  command->add_option("--runs", options->runs, "Runs after the first one")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--turns", options->turns, "How often all of it is done, A B C A B C")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--clients", options->clients,
                   "Also requests a second of a server with so many clients, such as 1,4,16")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, bench);
}

}  // namespace dermlens::cli
