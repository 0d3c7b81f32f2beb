// dermlens plan: the bytes of every way to run a model, how many requests at once a limit holds,
// and what the plans of the system we replace come to.
#include <boost/json/serialize.hpp>
#include <iostream>

#include "base/checked.h"
#include "base/mapped_file.h"
#include "capacity/capacity.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/render.h"

namespace dermlens::cli {
namespace {

using capacity::Capacity;

struct Options {
  std::string model, photo, upload;
  bool no_overlay = false;
};

Result<capacity::Assumptions> assumptions_of(const CommonOptions& common, const Options& options) {
  capacity::Assumptions assumptions;
  assumptions.threads = common.threads;
  assumptions.overlay = !options.no_overlay;
  if (!options.photo.empty()) {
    TRY(const auto file, MappedFile::open(options.photo));
    auto header = read_header(file->bytes());
    if (!header) return within(options.photo, std::move(header).error());
    assumptions.photo = *header;
    assumptions.upload = file->bytes().size();
  }
  if (!options.upload.empty()) {
    TRY(assumptions.upload, parse_size(options.upload));
  }
  return assumptions;
}

void print_ways(const Capacity& capacity) {
  std::vector<std::vector<std::string>> table{{"weights", "heatmap"}};
  for (std::size_t i = 0; i < kCategories; ++i)
    table[0].emplace_back(to_string(static_cast<Category>(i)));
  for (const char* title : {"a request", "peak", "most at once"}) table[0].emplace_back(title);
  for (const capacity::Way& way : capacity.ways) {
    std::vector<std::string> row{std::string(to_string(way.placement)),
                                 way.heatmaps ? "on" : "off"};
    for (std::size_t i = 0; i < kCategories; ++i)
      row.push_back(format_size(way.shared[i] + way.session[i]));
    row.push_back(format_size(way.session_reserved));
    row.push_back(format_size(way.peak(1)));
    row.push_back(std::to_string(way.most_sessions));
    table.push_back(std::move(row));
  }
  print_table(std::cout, table, "  ", {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13});
}

void print_comparisons(const Capacity& capacity) {
  std::vector<std::vector<std::string>> table{{"plan", "theirs", "their MB", "ours", "remark"}};
  for (const capacity::Comparison& row : capacity.comparisons) {
    const capacity::Way& way = capacity.ways[row.choice.way];
    table.push_back({row.name, row.meaning, row.seed_mb.empty() ? "-" : row.seed_mb,
                     format_size(way.peak(row.choice.sessions)), row.remark});
  }
  print_table(std::cout, table, "  ", {2, 3});
}

void print_human(const Capacity& capacity) {
  const Size photo = capacity.assumptions.photo.stored;
  std::cout << printable(capacity.card.name) << ' ' << printable(capacity.card.version)
            << ", limit " << format_size(capacity.limit.bytes) << " ("
            << to_string(capacity.limit.source) << "), one request with a photo of " << photo.width
            << " x " << photo.height << " in " << format_size(capacity.assumptions.upload) << '\n';
  print_ways(capacity);
  std::cout << "  base and code are measured in this process, all else is computed; a request's "
               "categories are not\n  all in use at the same moment.\n"
            << "Plans of the system we replace (its authors' estimates of one request):\n";
  print_comparisons(capacity);
}

Result<int> plan_command(const CommonOptions& common, const Options& options) {
  TRY(const std::string path, find_model(options.model.empty() ? common.model : options.model));
  TRY(capacity::Assumptions assumptions, assumptions_of(common, options));
  TRY(assumptions.weights, plan::parse_placement(common.weights));
  TRY(const Budget budget, make_budget(common));
  TRY(const Capacity capacity,
      capacity::survey(path, budget.limit, budget.base.bytes(), assumptions));
  if (!common.json) print_human(capacity);
  if (!capacity.recommended)
    return tl::make_unexpected(choose(capacity, false, assumptions.weights, 1).error());
  if (common.json)
    std::cout << boost::json::serialize(to_json(capacity)) << '\n';
  else
    std::cout << "recommended: " << capacity.sentence << '\n';
  return kDone;
}

}  // namespace

void add_plan(Application& application) {
  CLI::App* command = application.command("plan", "The bytes of every way to run a model",
                                          "dermlens plan model.onnx --memory-limit 64M");
  auto options = std::make_shared<Options>();
  command->add_option("model_file", options->model, "The model (default: as --model)");
  command->add_option("--photo", options->photo,
                      "Plan for photos like this one (default: 12 megapixels, baseline JPEG)");
  command->add_option("--upload", options->upload, "Bytes of a photo's file (4M, or the photo's)");
  command->add_flag("--no-overlay", options->no_overlay,
                    "Plan for heatmaps that are asked for as numbers only");
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, plan_command);
}

}  // namespace dermlens::cli
