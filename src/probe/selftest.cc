// The order of the steps, what they share, and the verdict.
#include "probe/selftest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "probe/multipart.h"
#include "probe/selftest_steps.h"

namespace dermlens::probe {
namespace {

using Clock = std::chrono::steady_clock;

struct Entry {
  const char* name;
  const char* seed;
  Result<Outcome> (*run)(Selftest&);
  bool predicts = false;  // without an answer, it counts as the seed's out of memory
};

// The seed's figures are its authors' estimates; megabytes.
constexpr std::array kSteps{
    Entry{"idle", "150-180 MB", step_idle},
    Entry{"first prediction", "450-490 MB, 15-20 s", step_first, true},
    Entry{"three at once", "480-500 MB, or out of memory", step_three_at_once, true},
    Entry{"ten in a row", "460, 465 ... 510 MB is creep", step_ten_in_a_row, true},
    Entry{"many clients", "two: 586 MB, out of memory", step_many_clients, true},
    Entry{"load and unload", "400-420 MB after clean-up", step_load_cycles},
    Entry{"50 megapixels", "-", step_large_photo},
    Entry{"ten broken files", "400 or 500", step_broken_files},
    Entry{"the end", "restart after 100 requests", step_end},
};

Step run_step(Selftest& test, const Entry& entry) {
  Step step{entry.name, entry.seed, {}, {}, 0};
  const auto start = Clock::now();
  auto outcome = entry.run(test);
  step.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (outcome) {
    step.ours = std::move(outcome->ours);
    step.fault = std::move(outcome->fault);
  } else {
    step.fault = outcome.error().message;
    if (test.plan.server != nullptr) {
      if (const std::string ending = test.plan.server->ending(); !ending.empty())
        step.fault += "; the server " + ending;
    }
    if (entry.predicts) test.figures.failed_requests = true;
  }
  return step;
}

}  // namespace

std::string tenths(double value) {
  if (std::abs(value) < 0.05) value = 0;  // not "-0.0"
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

std::string thousands(std::uint64_t value) {
  std::string text = std::to_string(value);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

Result<MemoryReading> Selftest::read_memory() {
  TRY(const Reply reply, client.get("/memory/"));
  if (reply.status != 200)
    return fail(Errc::malformed, "/memory/ answers ", reply.status, ", not 200");
  TRY(const MemoryReading reading, parse_memory(reply.body));
  figures.peak = std::max(figures.peak, reading.peak);
  figures.limit = reading.limit;
  return reading;
}

Result<std::string> Selftest::upload(const std::string& photo) {
  MultipartForm form;
  form.add_file("image", "photo.jpg", "image/jpeg", photo);
  const std::string type = form.content_type();
  const std::string body = std::move(form).finish();
  TRY(const Reply reply, client.post("/upload/", type, body));
  const std::string location(reply.header("location"));
  constexpr std::string_view kPlace = "/result/";
  if (reply.status != 302 || !location.starts_with(kPlace) || !location.ends_with('/'))
    return fail(Errc::malformed, "/upload/ answers ", reply.status, " '", reply.body.substr(0, 200),
                "', not 302 to /result/<id>/");
  TRY(const Reply page, client.get(location));
  if (page.status != 200)
    return fail(Errc::malformed, "the result's page answers ", page.status, ", not 200");
  std::string id = location.substr(kPlace.size(), location.size() - kPlace.size() - 1);
  if (!figures.heatmaps) return id;
  TRY(const Reply overlay, client.get("/api/v1/results/" + id + "/overlay.png"));
  if (overlay.status != 200 || !overlay.body.starts_with("\x89PNG"))
    return fail(Errc::malformed, "the heatmap answers ", overlay.status, ", not a PNG");
  return id;
}

Result<void> Selftest::delete_result(const std::string& id) {
  Request request;
  request.method = "DELETE";
  request.target = "/api/v1/results/" + id;
  TRY(const Reply reply, client.send(request));
  if (reply.status / 100 == 2) return {};
  if (reply.status != 404) return fail(Errc::malformed, "deleting a result answers ", reply.status);
  TRY(const Reply kept, client.get(request.target));
  if (kept.status != 404)
    return fail(Errc::malformed, "deleting a result answers 404, asking for it ", kept.status);
  return {};
}

std::string Selftest::route() const {
  return figures.heatmaps ? "/api/v1/explain?keep=false" : "/api/v1/classify?keep=false";
}

Result<Reply> Selftest::ask(std::string_view photo) {
  return client.post(route() + "&output=map", "image/jpeg", photo);
}

Result<Probabilities> Selftest::read(std::string_view json) const {
  return figures.heatmaps ? read_answer(json) : read_predictions(json);
}

std::string Selftest::over_limit() const {
  if (figures.limit <= 0 || figures.peak <= figures.limit) return {};
  return "the peak of " + tenths(figures.peak) + " MB is over the limit of " +
         tenths(figures.limit) + " MB";
}

bool SelftestReport::passed() const {
  return !steps.empty() && std::ranges::all_of(steps, &Step::passed);
}

std::string decide(const Figures& figures) {
  if (!figures.measured) return "no decision: memory could not be read";
  const char* const growth = !figures.growth_measured ? "growth not measured"
                             : figures.stable         ? "stable"
                                                      : "creeping";
  const std::string seen =
      "idle " + tenths(figures.idle) + " MB, peak " + tenths(figures.peak) + " MB, " + growth;
  const bool over = figures.limit > 0 && figures.peak > figures.limit;
  if (figures.peak > 500)
    return seen + ": over 500, plan " + (figures.heatmaps ? "C (no Grad-CAM) or " : "") +
           "D (upgrade)";
  if (figures.growth_measured && !figures.stable)
    return seen + ": look for leaks, restart workers more often";
  if (figures.peak >= 480 || figures.failed_requests || over)
    return seen + (figures.failed_requests ? ", with failures" : "") +
           (over ? ", over the limit" : "") + ": plan B (quantize, one thread)";
  if (figures.idle >= 180) return seen + ": idle over 180, look for leaks";
  if (!figures.growth_measured) return seen + ": no decision";
  return seen + ": done (plan " + (figures.heatmaps ? "A, as is" : "C, no Grad-CAM") +
         "; idle < 180 and peak < 480 and stable)";
}

SelftestReport run_selftest(const SelftestPlan& plan, const Photos& photos,
                            const std::function<void(const Step&)>& on_step) {
  const auto start = Clock::now();
  Selftest test(plan, photos);
  SelftestReport report;
  for (const Entry& entry : kSteps) {
    report.steps.push_back(run_step(test, entry));
    on_step(report.steps.back());
    // Nothing is left to ask.
    if (&entry != &kSteps.back() && plan.server != nullptr && !plan.server->ending().empty()) break;
  }
  report.figures = test.figures;
  report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return report;
}

}  // namespace dermlens::probe
