// Many clients, and models that come and go.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "probe/multipart.h"
#include "probe/selftest_steps.h"
#include "probe/swarm.h"

namespace dermlens::probe {

namespace json = boost::json;

namespace {

// The RSS that is back after an unload is within this of the idle one.
constexpr double kMostLeft = 4.0;

Result<std::string> default_model(HttpClient& client) {
  TRY(const Reply reply, client.get("/api/v1/models"));
  boost::system::error_code error;
  const json::value value = json::parse(reply.body, error);
  const json::object* whole = error ? nullptr : value.if_object();
  const json::value* models = whole != nullptr ? whole->if_contains("models") : nullptr;
  if (models == nullptr || !models->is_array())
    return fail(Errc::malformed, "/api/v1/models answers ", reply.status, " without models");
  std::string name;
  for (const json::value& entry : models->as_array()) {
    const json::object* model = entry.if_object();
    const json::value* own = model != nullptr ? model->if_contains("name") : nullptr;
    const json::value* chosen = model != nullptr ? model->if_contains("default") : nullptr;
    if (own == nullptr || !own->is_string()) continue;
    if (name.empty() || (chosen != nullptr && chosen->is_bool() && chosen->as_bool()))
      name = own->as_string();
  }
  if (name.empty()) return fail(Errc::not_found, "the server has no model");
  return name;
}

Result<void> control(HttpClient& client, const std::string& model, std::string_view what) {
  TRY(const Reply reply, client.post("/v2/repository/models/" + model + "/" + std::string(what),
                                     "application/json", "{}"));
  if (reply.status != 200)
    return fail(Errc::malformed, what, " answers ", reply.status, " '", reply.body.substr(0, 200),
                "', not 200");
  return {};
}

}  // namespace

Result<Outcome> step_many_clients(Selftest& test) {
  TRY(const Reply first, test.ask(test.photos.small));
  if (first.status != 200)
    return fail(Errc::malformed, test.route(), " answers ", first.status, " '",
                first.body.substr(0, 200), "', not 200");
  TRY(test.reference, test.read(first.body));
  MultipartForm form;
  form.add_file("image", "photo.jpg", "image/jpeg", test.photos.small);
  const std::string type = form.content_type();
  const std::string body = std::move(form).finish();
  SwarmPlan swarm;
  swarm.endpoint = test.plan.endpoint;
  swarm.headers = test.plan.headers;
  swarm.clients = test.plan.clients;
  swarm.requests = test.plan.requests;
  swarm.budget = test.plan.load_budget;
  // A form or the bare photo; every fourth wants the overlay drawn as well.
  swarm.make = [&](std::uint64_t number) {
    Request request{"POST", test.route(), {}, {}, {}};
    if (number % 4 != 0) request.target += "&output=map";
    request.content_type = number % 2 == 0 ? type : "image/jpeg";
    request.body = number % 2 == 0 ? body : test.photos.small;
    return request;
  };
  swarm.judge = [&](const Reply& reply) -> std::string {
    if (reply.status != 200)
      return "an answer of " + std::to_string(reply.status) + " '" + reply.body.substr(0, 200) +
             "'";
    const auto answer = test.read(reply.body);
    return answer ? difference(test.reference, *answer) : answer.error().message;
  };
  const SwarmReport report = run_swarm(swarm);
  TRY(const MemoryReading after, test.read_memory());
  Outcome outcome;
  outcome.ours = std::to_string(swarm.clients) + " clients, " + thousands(report.answered) +
                 " answered, " + tenths(static_cast<double>(report.answered) / report.seconds) +
                 "/s, median " + tenths(report.percentile(0.5) / 1000) + " s, peak " +
                 tenths(after.peak) + " MB";
  if (!test.figures.heatmaps) outcome.ours += ", without heatmaps";
  if (report.postponed > 0)
    outcome.ours += ", " + thousands(report.postponed) + " times told to wait";
  if (report.budget_reached)
    outcome.ours += " (stopped after " + std::to_string(test.plan.load_budget.count()) + " s, of " +
                    thousands(swarm.requests) + " wanted)";
  test.figures.failed_requests |= report.wrong > 0 || report.answered == 0;
  if (report.wrong > 0)
    outcome.fault = thousands(report.wrong) + " wrong, the first: " + report.first_wrong;
  if (outcome.fault.empty() && report.answered == 0) outcome.fault = "nothing was answered";
  if (outcome.fault.empty()) outcome.fault = test.over_limit();
  return outcome;
}

Result<Outcome> step_load_cycles(Selftest& test) {
  TRY(const std::string model, default_model(test.client));
  TRY_VOID(control(test.client, model, "unload"));
  MemoryReading second;
  MemoryReading last;
  for (unsigned cycle = 0; cycle < test.plan.cycles; ++cycle) {
    TRY_VOID(control(test.client, model, "load"));
    TRY(const Reply reply, test.ask(test.photos.small));
    if (reply.status != 200)
      return fail(Errc::malformed, "a loaded model answers ", reply.status, ", not 200");
    TRY_VOID(control(test.client, model, "unload"));
    TRY(last, test.read_memory());
    if (cycle <= 1) second = last;
  }
  Outcome outcome{std::to_string(test.plan.cycles) + " cycles, then " + tenths(last.rss) +
                      " MB (idle " + tenths(test.idle.rss) + ")",
                  {}};
  if (last.model_loaded && test.plan.server != nullptr)
    outcome.fault = "model_loaded is true after an unload";
  if (last.held() - second.held() > kMostGrowth)
    outcome.fault = "cycles grow by " + tenths(last.held() - second.held()) + " MB";
  if (!test.idle.model_loaded && last.rss - last.results - test.idle.rss > kMostLeft)
    outcome.fault = tenths(last.rss - test.idle.rss) + " MB more than idle are not given back";
  return outcome;
}

}  // namespace dermlens::probe
