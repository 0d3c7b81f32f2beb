// dermlens plan: the bytes of a model for every placement, and how many requests at once a limit
// holds, computed before anything is loaded.
#include "plan/plan.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <iostream>

#include "base/checked.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/render.h"
#include "image/decode.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;
using plan::Placement;

struct Options {
  std::string model;
};

// One way to run the model.
struct Row {
  bool heatmap = false;
  Placement placement = Placement::resident;
  plan::Plan plan;
  Bytes request = 0;           // decode and encode, of the photo the table is for
  std::uint64_t sessions = 0;  // the most that fit the limit

  Bytes per_session() const { return plan.per_session(placement) + request; }
  Bytes one() const { return plan.shared(placement) + per_session(); }
};

// A phone's photo: 12 megapixels, baseline JPEG, 4:2:0.
Header phone_photo() {
  Header header;
  header.stored = {4000, 3000};
  header.sampling = {{{2, 2}, {1, 1}, {1, 1}, {0, 0}}};
  return header;
}

Result<Bytes> request_bytes(const diagnose::Card& card, bool heatmap) {
  const diagnose::Preprocessing& how = card.preprocessing;
  std::vector<Target> targets{Target::exact(
      {static_cast<std::uint32_t>(how.width), static_cast<std::uint32_t>(how.height)}, how.filter)};
  if (heatmap) targets.push_back(Target::fit(1024));
  const Header header = phone_photo();
  TRY(const DecodeCost cost, decode_cost(header, targets));
  // The overlay as PNG is at most a little larger than its pixels.
  const Bytes overlay = heatmap ? Picture::bytes_of(targets[1].size_for(header.upright())) : 0;
  return cost.total() + overlay;
}

Result<std::vector<Row>> rows_of(const diagnose::ModelPlan& plans, Bytes free) {
  std::vector<Row> rows;
  for (const bool heatmap : {true, false}) {
    if (heatmap && !plans.explain) continue;
    TRY(const Bytes request, request_bytes(plans.card, heatmap));
    for (const Placement placement :
         {Placement::resident, Placement::mapped, Placement::streamed}) {
      Row row{heatmap, placement, heatmap ? *plans.explain : plans.forward, request, 0};
      const Bytes shared = row.plan.shared(placement);
      if (free > shared) row.sessions = (free - shared) / row.per_session();
      rows.push_back(row);
    }
  }
  return rows;
}

json::object to_object(const Row& row) {
  return {{"heatmap", row.heatmap},
          {"placement", to_string(row.placement)},
          {"weights_bytes", row.plan.weights},
          {"window_bytes", row.placement == Placement::streamed ? row.plan.window : 0},
          {"small_bytes", row.plan.small},
          {"arena_bytes", row.plan.arena},
          {"scratch_bytes", row.plan.scratch},
          {"descriptor_bytes", row.plan.descriptors},
          {"code_bytes", row.plan.code},
          {"building_bytes", row.plan.building},
          {"shared_bytes", row.plan.shared(row.placement)},
          {"session_bytes", row.plan.per_session(row.placement)},
          {"request_bytes", row.request},
          {"one_session_bytes", row.one()},
          {"max_sessions", row.sessions}};
}

// The fastest row that serves one request, heatmaps first.
const Row* recommended(const std::vector<Row>& rows) {
  for (const Row& row : rows)
    if (row.sessions > 0) return &row;
  return nullptr;
}

std::string sentence(const std::vector<Row>& rows, const Budget& budget) {
  const Row* row = recommended(rows);
  if (row)
    return std::string(to_string(row->placement)) + " weights, heatmaps " +
           (row->heatmap ? "on" : "off") + ", up to " + std::to_string(row->sessions) +
           " requests at once";
  Bytes least = rows.front().one();
  for (const Row& other : rows) least = std::min(least, other.one());
  return "nothing fits; the smallest needs " + format_size(least + budget.base.bytes());
}

void print_human(const diagnose::ModelPlan& plans, const std::vector<Row>& rows,
                 const Budget& budget) {
  std::cout << plans.card.name << ' ' << plans.card.version << ", limit "
            << format_size(budget.limit.bytes) << " (" << to_string(budget.limit.source)
            << "), process " << format_size(budget.base.bytes()) << " (measured)\n";
  std::vector<std::vector<std::string>> table{{"weights", "heatmap", "weights", "small", "code*",
                                               "arena", "scratch", "per request", "one request",
                                               "most at once"}};
  for (const Row& row : rows) {
    const Bytes held = row.placement == Placement::streamed ? row.plan.window : row.plan.weights;
    table.push_back({std::string(to_string(row.placement)), row.heatmap ? "on" : "off",
                     format_size(held), format_size(row.plan.small), format_size(row.plan.code),
                     format_size(row.plan.arena), format_size(row.plan.scratch),
                     format_size(row.per_session()), format_size(row.one() + budget.base.bytes()),
                     std::to_string(row.sessions)});
  }
  print_table(std::cout, table, "  ", {2, 3, 4, 5, 6, 7, 8, 9});
  std::cout << "  * an estimate; measured when the model is loaded. per request: one session and a "
               "12-megapixel JPEG.\n"
            << "recommended: " << sentence(rows, budget) << '\n';
}

Result<int> plan_command(const CommonOptions& common, const Options& options) {
  TRY(const std::string path, find_model(options.model.empty() ? common.model : options.model));
  TRY(const Budget budget, make_budget(common));
  TRY(const diagnose::ModelPlan plans, diagnose::plan_model(path));
  TRY(const std::vector<Row> rows, rows_of(plans, budget.ledger->available()));
  if (common.json) {
    json::array table;
    for (const Row& row : rows) table.push_back(to_object(row));
    std::cout << json::serialize(json::object{
                     {"model",
                      json::object{{"name", plans.card.name}, {"version", plans.card.version}}},
                     {"limit_bytes", budget.limit.bytes},
                     {"limit_source", to_string(budget.limit.source)},
                     {"base_bytes", budget.base.bytes()},
                     {"configurations", std::move(table)},
                     {"recommendation", sentence(rows, budget)}})
              << '\n';
  } else {
    print_human(plans, rows, budget);
  }
  return recommended(rows) ? kDone : kOverLimit;
}

}  // namespace

void add_plan(Application& application) {
  CLI::App* command = application.command("plan", "The bytes of every way to run a model",
                                          "dermlens plan model.onnx --memory-limit 64M");
  auto options = std::make_shared<Options>();
  command->add_option("model_file", options->model, "The model (default: as --model)");
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, plan_command);
}

}  // namespace dermlens::cli
