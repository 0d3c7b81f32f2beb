// The seed's four steps, without its five-second pauses: nothing here happens behind a timer.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <cmath>

#include "probe/multipart.h"
#include "probe/selftest_steps.h"
#include "probe/swarm.h"

namespace dermlens::probe {

namespace json = boost::json;

namespace {

constexpr double kSeedIdle = 180;
constexpr double kSeedFirst = 490;
constexpr double kSeedPeak = 500;

const json::array* array_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr ? value->if_array() : nullptr;
}

// The first explanation's map has as many values as its grid has cells.
bool map_is_whole(const json::object& answer) {
  const json::array* explanations = array_of(answer, "explanations");
  if (explanations == nullptr || explanations->empty()) return false;
  const json::object* first = explanations->front().if_object();
  const json::array* grid = first != nullptr ? array_of(*first, "grid") : nullptr;
  const json::array* map = first != nullptr ? array_of(*first, "map") : nullptr;
  if (grid == nullptr || map == nullptr || grid->size() != 2) return false;
  if (!grid->at(0).is_int64() || !grid->at(1).is_int64()) return false;
  const std::int64_t rows = grid->at(0).as_int64();
  const std::int64_t columns = grid->at(1).as_int64();
  return rows > 0 && columns > 0 && rows < 4096 && columns < 4096 &&
         map->size() == static_cast<std::size_t>(rows * columns);
}

// Null where the text is no JSON.
json::value parse(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value() : value;
}

Result<Probabilities> predictions_of(const json::value& value) {
  const json::object* answer = value.if_object();
  const json::array* predictions = answer != nullptr ? array_of(*answer, "predictions") : nullptr;
  if (predictions == nullptr) return fail(Errc::malformed, "an answer without predictions");
  Probabilities probabilities;
  double sum = 0;
  for (const json::value& entry : *predictions) {
    const json::object* prediction = entry.if_object();
    const json::value* id = prediction != nullptr ? prediction->if_contains("class_id") : nullptr;
    const json::value* share =
        prediction != nullptr ? prediction->if_contains("probability") : nullptr;
    if (id == nullptr || share == nullptr || !id->is_int64() || !share->is_number())
      return fail(Errc::malformed, "a prediction without class or probability");
    probabilities[id->as_int64()] = share->to_number<double>();
    sum += share->to_number<double>();
  }
  if (!(std::abs(sum - 1) < 1e-3))
    return fail(Errc::malformed, "the probabilities sum to ", sum, ", not 1");
  return probabilities;
}

}  // namespace

Result<Probabilities> read_answer(std::string_view text) {
  const json::value answer = parse(text);
  TRY(Probabilities probabilities, predictions_of(answer));
  if (!map_is_whole(answer.as_object()))
    return fail(Errc::malformed, "an answer without its whole map");
  return probabilities;
}

Result<Probabilities> read_predictions(std::string_view text) {
  return predictions_of(parse(text));
}

std::string difference(const Probabilities& a, const Probabilities& b) {
  if (a.size() != b.size()) return "other classes than before";
  for (const auto& [id, probability] : a) {
    const auto other = b.find(id);
    if (other == b.end() || !(std::abs(other->second - probability) <= 1e-4))
      return "other probabilities than before (class " + std::to_string(id) + ")";
  }
  return {};
}

Result<Outcome> step_idle(Selftest& test) {
  TRY(test.idle, test.read_memory());
  test.figures.idle = test.idle.rss;
  test.figures.measured = true;
  test.figures.heatmaps = test.idle.gradcam_enabled;
  Outcome outcome{tenths(test.idle.rss) + " MB" +
                      (test.idle.model_loaded ? ", the model is loaded already" : ""),
                  {}};
  if (test.plan.server != nullptr && test.idle.model_loaded)
    outcome.fault = "the model is loaded before anybody asked";
  if (test.idle.rss >= kSeedIdle) outcome.fault = "180 MB or more: look for leaks";
  return outcome;
}

Result<Outcome> step_first(Selftest& test) {
  const auto start = std::chrono::steady_clock::now();
  TRY(const std::string id, test.upload(test.photos.phone));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  TRY(const MemoryReading after, test.read_memory());
  TRY_VOID(test.delete_result(id));
  Outcome outcome{"peak " + tenths(after.peak) + " MB, " + tenths(seconds) + " s, " +
                      (test.figures.heatmaps ? "with heatmap" : "without heatmap"),
                  {}};
  if (!after.model_loaded) outcome.fault = "model_loaded is false after a prediction";
  if (!after.gradcam_enabled)
    outcome.fault = "gradcam_enabled is false: heatmaps are switched off (ENABLE_GRADCAM)";
  if (after.peak > kSeedFirst) outcome.fault = "over 490 MB: consider plan B";
  if (outcome.fault.empty()) outcome.fault = test.over_limit();
  return outcome;
}

Result<Outcome> step_three_at_once(Selftest& test) {
  MultipartForm form;
  form.add_file("image", "photo.jpg", "image/jpeg", test.photos.phone);
  const std::string type = form.content_type();
  const std::string body = std::move(form).finish();
  std::vector<std::string> ids;
  SwarmPlan swarm;
  swarm.endpoint = test.plan.endpoint;
  swarm.headers = test.plan.headers;
  swarm.clients = 3;
  swarm.requests = 3;
  swarm.make = [&](std::uint64_t) { return Request{"POST", "/upload/", type, body, {}}; };
  swarm.judge = [&](const Reply& reply) -> std::string {
    constexpr std::string_view kPlace = "/result/";
    std::string_view location = reply.header("location");
    if (reply.status != 302 || !location.starts_with(kPlace))
      return "/upload/ answers " + std::to_string(reply.status);
    location.remove_prefix(kPlace.size());
    ids.emplace_back(location.substr(0, location.find('/')));
    return {};
  };
  const SwarmReport report = run_swarm(swarm);
  TRY(const MemoryReading after, test.read_memory());
  for (const std::string& id : ids) TRY_VOID(test.delete_result(id));
  Outcome outcome{"peak " + tenths(after.peak) + " MB, " + std::to_string(report.answered) +
                      " of 3 answered in " + tenths(report.seconds) + " s",
                  {}};
  if (report.postponed > 0)
    outcome.ours += ", " + std::to_string(report.postponed) + " times told to wait";
  test.figures.failed_requests |= report.answered != 3;
  if (report.answered != 3) outcome.fault = "not all were answered: " + report.first_wrong;
  if (outcome.fault.empty() && after.peak >= kSeedPeak) outcome.fault = "500 MB or more: plan B";
  if (outcome.fault.empty()) outcome.fault = test.over_limit();
  return outcome;
}

Result<Outcome> step_ten_in_a_row(Selftest& test) {
  constexpr int kUploads = 10;
  constexpr int kSettled = 2;  // the first ones find room that stays
  std::vector<std::string> ids;
  std::vector<MemoryReading> readings;
  for (int i = 0; i < kUploads; ++i) {
    TRY(std::string id, test.upload(test.photos.phone));
    ids.push_back(std::move(id));
    TRY(const MemoryReading reading, test.read_memory());
    readings.push_back(reading);
  }
  test.figures.growth = readings.back().held() - readings.at(kSettled).held();
  test.figures.growth_measured = true;
  test.figures.stable = test.figures.growth <= kMostGrowth;
  for (const std::string& id : ids) TRY_VOID(test.delete_result(id));
  const double results = readings.back().results;
  Outcome outcome{tenths(readings.front().rss) + " ... " + tenths(readings.back().rss) +
                      " MB, of which results " + tenths(results) + " MB; without them " +
                      (test.figures.growth > 0 ? "+" : "") + tenths(test.figures.growth) + " MB",
                  {}};
  if (!test.figures.stable) outcome.fault = "creep: " + tenths(test.figures.growth) + " MB";
  if (outcome.fault.empty()) outcome.fault = test.over_limit();
  return outcome;
}

}  // namespace dermlens::probe
