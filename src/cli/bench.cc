// dermlens bench: peak memory, latency and throughput of each placement of one or more models,
// every figure from a fresh process, in turns, in one table, beside what this machine could do at
// best. bench/README.md says how the figures compare with those of other systems.
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <utility>

#include "cli/bench_measure.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/render.h"
#include "cli/synthetic_photo.h"
#include "cli/write_file.h"
#include "probe/fresh_process.h"

namespace dermlens::cli {
namespace {

namespace fs = std::filesystem;
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

// The photo of every run: the user's, or one of our own in a file that goes with this.
class Photo {
 public:
  static Result<Photo> of(const BenchOptions& options) {
    Photo photo;
    photo.path_ = options.image;
    if (!options.image.empty()) return photo;
    constexpr Size kPhone{4000, 3000};
    photo.path_ = fs::temp_directory_path() / "dermlens-bench-XXXXXX";
    const int fd = ::mkstemp(photo.path_.data());
    if (fd < 0) return fail(Errc::io, "no temporary file can be made (", photo.path_, ")");
    ::close(fd);
    photo.is_ours_ = true;
    TRY(const std::string bytes, synthetic_photo(kPhone));
    TRY_VOID(write_file(photo.path_, bytes));
    return photo;
  }
  Photo(Photo&& other) noexcept
      : path_(std::move(other.path_)), is_ours_(std::exchange(other.is_ours_, false)) {}
  Photo& operator=(Photo&&) = delete;
  ~Photo() {
    if (is_ours_) std::remove(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  Photo() = default;
  std::string path_;
  bool is_ours_ = false;
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
        Configuration one{common, model, heatmap, work, {}};
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

// Median over the turns of the first model's time divided by this one's, same placement, same turn.
double speedup(const Configuration& one, const std::vector<Configuration>& all) {
  for (const Configuration& base : all) {
    if (base.model != 0 || base.heatmap != one.heatmap || base.common.weights != one.common.weights)
      continue;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < one.turns.size(); ++i)
      ratios.push_back(base.turns[i].at("median_ms").to_number<double>() /
                       one.turns[i].at("median_ms").to_number<double>());
    std::ranges::sort(ratios);
    return ratios[ratios.size() / 2];
  }
  return 1;
}

json::object summary(const Configuration& one, const std::vector<Configuration>& all,
                     const json::object& floor) {
  json::object out = one.turns.front();
  for (const char* key : {"load_ms", "first_ms", "cold_first_ms", "median_ms", "forward_ms",
                          "cold_forward_ms", "cold_read_bytes", "backward_ms", "decode_ms",
                          "render_ms", "whole_ms", "anon_bytes", "file_bytes"})
    out[key] = one.median(key);
  out["peak_bytes"] = one.most("peak_bytes");
  out["configuration"] = one.common.weights + " " + std::string(one.work.at("stored").as_string());
  out["model"] = one.common.model;
  out["computed"] = one.work.at("computed");
  out["turns"] = one.turns.size();
  out["speedup"] = speedup(one, all);
  out["floor_ms"] = floor_ms(one, floor);
  out["of_floor"] = one.median("forward_ms") / floor_ms(one, floor);
  return out;
}

Result<json::array> measure_all(std::vector<Configuration>& all, const BenchOptions& options,
                                const std::string& photo, const json::object& floor) {
  for (int turn = 0; turn < options.turns; ++turn)
    for (Configuration& one : all) {
      TRY(json::object report,
          in_fresh([&] { return measure_latency(one.common, photo, options.runs, one.heatmap); }));
      const std::string pack(report.at("pack").as_string());
      TRY(const json::object cold, in_fresh([&] {
            return measure_cold(one.common, photo, pack, std::min(options.runs, kColdRuns),
                                one.heatmap);
          }));
      report.insert(cold.begin(), cold.end());
      one.turns.push_back(std::move(report));
    }
  json::array results;
  for (const Configuration& one : all) {
    json::object result = summary(one, all, floor);
    if (one.heatmap && !options.clients.empty()) {
      TRY(const json::object load,
          in_fresh([&] { return measure_throughput(one.common, photo, options.clients); }));
      for (const auto& [key, value] : load) result[key] = value;
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
  for (const char* key : {"first_ms", "cold_first_ms"})
    row.push_back(fixed(report, key, 1, "%.0f"));
  for (const char* key :
       {"forward_ms", "cold_forward_ms", "backward_ms", "decode_ms", "render_ms", "whole_ms"})
    row.push_back(fixed(report, key, 1, "%.1f"));
  for (const char* key : {"speedup", "of_floor"}) row.push_back(fixed(report, key, 1, "%.2f"));
  for (const char* key : {"peak_bytes", "anon_bytes", "file_bytes"})
    row.push_back(fixed(report, key, kMebibyte, "%.1f"));
  for (const unsigned clients : options.clients) {
    const json::value* rates = report.if_contains("requests_per_second");
    row.push_back(rates ? fixed(rates->as_object(), std::to_string(clients).c_str(), 1, "%.1f")
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
