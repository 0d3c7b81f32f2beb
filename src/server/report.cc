// Readings and sums; every figure is in bytes inside and in megabytes (2^20) where the seed had
// them.
#include "server/report.h"

#include <dirent.h>

#include <cmath>
#include <ctime>

#include "diagnose/json_text.h"
#include "memory/process.h"
#include "server/metrics.h"

namespace dermlens::server {
namespace {

namespace json = boost::json;

double megabytes(Bytes bytes) {
  return std::round(static_cast<double>(bytes) / (1 << 20) * 10) / 10;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// tight: an eighth or less of the limit is free; refusing: something was refused a moment ago.
std::string_view state_of(const App& app) {
  if (app.refused_lately()) return "refusing";
  return app.ledger.available() < app.ledger.limit() / 8 ? "tight" : "ok";
}

std::size_t open_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::size_t count = 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count > 3 ? count - 3 : 0;  // ".", ".." and the folder itself
}

int sessions_of(const App& app, const diagnose::Model* model) {
  return model != nullptr ? model->sessions() : static_cast<int>(app.workers.threads());
}

}  // namespace

json::object plan_report(const plan::Plan& plan, int sessions) {
  return {{"placement", to_string(plan.placement)},
          {"planned_bytes", plan.total(plan.placement, sessions)},
          {"weights_bytes", plan.weights},
          {"reclaimable_bytes", plan.reclaimable},
          {"small_bytes", plan.small},
          {"window_bytes", plan.placement == plan::Placement::streamed ? plan.window : 0},
          {"arena_bytes", plan.arena},
          {"scratch_bytes", plan.scratch},
          {"descriptor_bytes", plan.descriptors},
          {"code_bytes", plan.code},
          {"building_bytes", plan.building},
          {"shared_bytes", plan.shared(plan.placement)},
          {"session_bytes", plan.per_session(plan.placement)},
          {"sessions", sessions},
          {"steps", plan.steps},
          {"backward_steps", plan.backward_steps}};
}

json::object memory_report(const App& app) {
  const ProcessMemory process = read_process_memory();
  const auto model = app.models->peek();
  const int sessions = sessions_of(app, model.get());
  json::object ledger;
  for (std::size_t i = 0; i < kCategories; ++i) {
    const auto category = static_cast<Category>(i);
    ledger[to_string(category)] = app.ledger.reserved(category);
  }
  const Pressure::State pressure = app.pressure.state();
  json::object weights{{"placement", nullptr}, {"bytes", 0}, {"fell_from", nullptr}};
  if (!pressure.fell_from.empty()) {
    weights["fell_from"] = pressure.fell_from;
    weights["because"] = pressure.because;
  }
  std::optional<plan::Plan> planned = pressure.configuration.plan;
  if (model != nullptr) {
    planned = model->plan();
    weights["placement"] = to_string(planned->placement);
    weights["bytes"] = planned->weights;
  }
  json::value plan = nullptr;
  if (planned) {
    plan = plan_report(*planned, sessions);
    plan.as_object()["predicted_peak_bytes"] = pressure.configuration.peak;
    plan.as_object()["results_most_bytes"] = app.results.most();
  }
  const double percent =
      100.0 * static_cast<double>(process.rss) / static_cast<double>(app.ledger.limit());
  return {{"status", "ok"},
          {"memory",
           {{"rss_mb", megabytes(process.rss)},
            {"vms_mb", megabytes(process.virtual_size)},
            {"percent", std::round(percent * 10) / 10},
            {"peak_rss_mb", megabytes(process.peak_rss)},
            {"anon_mb", megabytes(process.anon)},
            {"file_mb", megabytes(process.file)}}},
          {"model_loaded", app.models->loaded() != 0},
          {"gradcam_enabled", app.options.explain},
          {"limit_mb", megabytes(app.ledger.limit())},
          {"limit_source", to_string(pressure.room.limit.source)},
          {"others_mb", megabytes(pressure.room.others)},
          {"state", state_of(app)},
          {"weights", std::move(weights)},
          {"ledger", std::move(ledger)},
          {"reserved_bytes", app.ledger.reserved()},
          {"sessions", {{"total", sessions}, {"busy", app.workers.busy()}}},
          {"queue", {{"depth", app.workers.depth()}, {"limit", app.workers.most_waiting()}}},
          {"plan", std::move(plan)},
          {"results_held", app.results.count()},
          {"connections", app.connections.load()},
          {"uptime_s", std::round(seconds_since(app.started) * 10) / 10},
          {"version", DERMLENS_VERSION}};
}

std::string live_report(const App& app, double requests_per_second) {
  json::object report = memory_report(app);
  report["requests_total"] = app.metrics.requests();
  report["requests_per_second"] = std::round(requests_per_second * 10) / 10;
  return to_text(report);
}

void write_gauges(const App& app, std::string& out) {
  const ProcessMemory process = read_process_memory();
  const auto gauge = [&out](std::string_view name, std::string_view help, double value) {
    write_metric_head(out, name, "gauge", help);
    write_sample(out, name, {}, value);
  };
  gauge("process_resident_memory_bytes", "Resident memory.", static_cast<double>(process.rss));
  gauge("process_virtual_memory_bytes", "Virtual memory.",
        static_cast<double>(process.virtual_size));
  gauge("process_open_fds", "Open file descriptors.", static_cast<double>(open_descriptors()));
  gauge("process_start_time_seconds", "Start of the process since 1970.",
        static_cast<double>(app.started_at));
  gauge("dermlens_memory_limit_bytes", "The limit in force.",
        static_cast<double>(app.ledger.limit()));
  gauge("dermlens_memory_peak_bytes", "The process's high-water mark.",
        static_cast<double>(process.peak_rss));
  write_metric_head(out, "dermlens_memory_reserved_bytes", "gauge", "Reserved in the ledger.");
  for (std::size_t i = 0; i < kCategories; ++i) {
    const auto category = static_cast<Category>(i);
    write_sample(out, "dermlens_memory_reserved_bytes",
                 metric_label("category", to_string(category)),
                 static_cast<double>(app.ledger.reserved(category)));
  }
  write_metric_head(out, "dermlens_memory_refused_total", "counter", "Refused reservations.");
  write_sample(out, "dermlens_memory_refused_total", {}, static_cast<double>(app.refused()));
  gauge("dermlens_queue_depth", "Requests that wait.", static_cast<double>(app.workers.depth()));
  const auto model = app.models->peek();
  const auto busy = static_cast<double>(app.workers.busy());
  write_metric_head(out, "dermlens_sessions", "gauge", "Sessions by state.");
  write_sample(out, "dermlens_sessions", metric_label("state", "busy"), busy);
  write_sample(out, "dermlens_sessions", metric_label("state", "idle"),
               std::max(0.0, sessions_of(app, model.get()) - busy));
  gauge("dermlens_model_loaded", "Models in memory.", static_cast<double>(app.models->loaded()));
  gauge("dermlens_results_held", "Results kept for a while.",
        static_cast<double>(app.results.count()));
}

}  // namespace dermlens::server
