// dermlens plan: the bytes of every way to run a model, how many requests at once a limit holds,
// and what the plans of the system we replace come to. Of several files, the precisions of one
// model, which of them serves best.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "base/checked.h"
#include "base/mapped_file.h"
#include "capacity/capacity.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/render.h"
#include "memory/process.h"
#include "server/app.h"

namespace dermlens::cli {
namespace {

using capacity::Capacity;
using Table = std::vector<std::vector<std::string>>;

struct PlanOptions {
  std::vector<std::string> models;
  std::string photo, upload;
  bool no_overlay = false;
};

// Without a photo a server's requests are planned for, as `serve` does.
Result<capacity::Assumptions> assumptions_of(const CommonOptions& common,
                                             const PlanOptions& options) {
  capacity::Assumptions assumptions;
  assumptions.threads = common.threads;
  assumptions.overlay = !options.no_overlay;
  assumptions.keep_photo = options.photo.empty();
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
  TRY(assumptions.weights, plan::parse_placement(common.weights));
  return assumptions;
}

// Megabytes to one decimal; nothing for nothing.
std::string mb(Bytes bytes) {
  if (bytes == 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes) / (1 << 20));
  return text;
}

std::vector<std::size_t> columns(std::size_t first, std::size_t last) {
  std::vector<std::size_t> all;
  for (std::size_t i = first; i <= last; ++i) all.push_back(i);
  return all;
}

void print_bytes(const Capacity& capacity) {
  Table table{{"placement", "heatmap"}};
  for (std::size_t i = 0; i < kCategories; ++i)
    table[0].emplace_back(to_string(static_cast<Category>(i)));
  table[0].emplace_back("peak");
  for (const capacity::Way& way : capacity.ways) {
    std::vector<std::string> row{std::string(to_string(way.placement)),
                                 way.heatmaps ? "on" : "off"};
    for (std::size_t i = 0; i < kCategories; ++i) row.push_back(mb(way.shared[i] + way.session[i]));
    row.push_back(mb(way.peak(1)));
    table.push_back(std::move(row));
  }
  std::cout << "\nOne request, MB by category\n";
  print_table(std::cout, table, "  ", columns(2, 11));
}

void print_sessions(const Capacity& capacity) {
  const Bytes limit = capacity.limit.bytes;
  std::uint64_t most = 1;
  for (const capacity::Way& way : capacity.ways) most = std::max(most, way.most_sessions(limit));
  std::vector<std::uint64_t> shown;
  for (std::uint64_t n = 1; n <= std::min<std::uint64_t>(most, 64); n *= 2) shown.push_back(n);
  Table table{{"placement", "heatmap"}};
  for (const std::uint64_t n : shown) table[0].push_back(std::to_string(n));
  for (const char* title : {"one more", "loading", "first run", "most"})
    table[0].emplace_back(title);
  for (const capacity::Way& way : capacity.ways) {
    std::vector<std::string> row{std::string(to_string(way.placement)),
                                 way.heatmaps ? "on" : "off"};
    for (const std::uint64_t n : shown)
      row.push_back(way.needed(n) <= limit ? mb(way.peak(n)) : "");
    for (const Bytes bytes : {way.session_peak, way.loading, way.building})
      row.push_back(mb(bytes));
    row.push_back(std::to_string(way.most_sessions(limit)));
    table.push_back(std::move(row));
  }
  std::cout << "\nPeak in MB with so many requests at once, where that fits " << format_size(limit)
            << '\n';
  print_table(std::cout, table, "  ", columns(2, table[0].size() - 1));
}

void print_comparisons(std::span<const Capacity> models) {
  Table table{{"plan", "theirs", "their MB", "ours", "remark"}};
  for (const capacity::Comparison& row : capacity::compare_with_seed(models)) {
    const capacity::Way& way = models[row.model].ways[row.choice.way];
    table.push_back({row.name, row.meaning, row.seed_mb.empty() ? "-" : row.seed_mb,
                     mb(way.peak(row.choice.sessions)), row.remark});
  }
  std::cout << "\nThe plans of the system we replace, by its authors' estimates of one request\n";
  print_table(std::cout, table, "  ", {2, 3});
  const capacity::Applying applying = capacity::applying_plan(models);
  std::cout << "Plan " << applying.plan << " applies here: " << applying.reason << ".\n";
}

void print_model(const Capacity& capacity) {
  std::cout << printable(capacity.card.name) << ' ' << printable(capacity.card.version) << ": "
            << capacity.stored << " weights, computed in " << capacity.computed << '\n';
  print_bytes(capacity);
  print_sessions(capacity);
  std::cout << '\n';
}

void print_human(std::span<const Capacity> models) {
  const Capacity& first = models.front();
  const capacity::Assumptions& assumptions = first.assumptions;
  std::cout << "Limit " << format_size(first.limit.bytes) << " (" << to_string(first.limit.source)
            << "). " << (assumptions.keep_photo ? "A server's requests" : "One command's request")
            << ": a photo of " << assumptions.photo.stored.width << " x "
            << assumptions.photo.stored.height << " in " << format_size(assumptions.upload)
            << ".\n\n";
  for (const Capacity& capacity : models) print_model(capacity);
  std::cout << "base, code and loading are measured in this process, the rest is computed. A "
               "request's\ncategories are not all in use at the same moment. first run: the pack "
               "is written, too.\n";
  print_comparisons(models);
}

Result<int> plan_command(const CommonOptions& common, const PlanOptions& options) {
  std::vector<std::string> paths = options.models;
  if (paths.empty()) {
    TRY(const std::string path, find_model(common.model));
    paths.push_back(path);
  }
  TRY(const capacity::Assumptions assumptions, assumptions_of(common, options));
  const MemoryLimit limit = find_memory_limit(common.memory_limit);
  Bytes base = read_process_memory().rss;
  if (options.photo.empty()) {
    TRY(base, server::measure_base({}));
  }
  std::vector<Capacity> models;
  for (const std::string& path : paths) {
    TRY(models.emplace_back(), capacity::survey(path, limit, base, assumptions));
  }
  const Capacity& best = models[capacity::best_of(models)];
  if (!common.json) print_human(models);
  if (!best.recommended)
    return tl::make_unexpected(choose(best, false, assumptions.weights, 1).error());
  if (common.json)
    print_json(std::cout, to_json(models));
  else
    std::cout << "\nrecommended: " << (models.size() > 1 ? printable(best.path) + ", " : "")
              << best.sentence << ".\n";
  return kDone;
}

}  // namespace

void add_plan(Application& application) {
  CLI::App* command = application.command("plan", "The bytes of every way to run a model",
                                          "dermlens plan model.onnx --memory-limit 64M");
  auto options = std::make_shared<PlanOptions>();
  command->add_option("model_file", options->models,
                      "The model, or files of several precisions of it (default: as --model)");
  command->add_option("--photo", options->photo,
                      "Plan for explaining this photo from the command line (default: a server's "
                      "requests, 12 megapixels, baseline JPEG)");
  command->add_option("--upload", options->upload, "Bytes of a photo's file (4M, or the photo's)");
  command->add_flag("--no-overlay", options->no_overlay,
                    "Plan for heatmaps that are asked for as numbers only");
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, plan_command);
}

}  // namespace dermlens::cli
