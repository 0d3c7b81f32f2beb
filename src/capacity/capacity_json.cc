// The document of `dermlens plan --json`.
#include <algorithm>
#include <boost/json/array.hpp>

#include "capacity/capacity.h"

namespace dermlens::capacity {
namespace {

namespace json = boost::json;

json::object to_object(const ByCategory& bytes) {
  json::object object;
  for (std::size_t i = 0; i < kCategories; ++i)
    object[to_string(static_cast<Category>(i))] = bytes[i];
  return object;
}

// For one request at once, two, and so on, as many as fit; for one at least. Behind the last row
// each category grows by `session_bytes` a request.
json::array by_sessions(const Way& way, std::uint64_t most) {
  constexpr std::uint64_t kMostRows = 64;
  json::array rows;
  for (std::uint64_t n = 1; n <= std::clamp<std::uint64_t>(most, 1, kMostRows); ++n) {
    ByCategory bytes;
    for (std::size_t i = 0; i < kCategories; ++i) bytes[i] = way.shared[i] + n * way.session[i];
    rows.push_back({{"sessions", n}, {"bytes", to_object(bytes)}, {"peak_bytes", way.peak(n)}});
  }
  return rows;
}

json::object to_object(const Way& way, Bytes limit) {
  const std::uint64_t most = way.most_sessions(limit);
  const bool streamed = way.placement == Placement::streamed;
  return {{"heatmap", way.heatmaps},
          {"placement", to_string(way.placement)},
          {"shared_bytes", to_object(way.shared)},
          {"session_bytes", to_object(way.session)},
          {"session_peak_bytes", way.session_peak},
          {"weights_bytes", way.plan.weights},
          {"window_bytes", streamed ? way.plan.window : 0},
          {"small_bytes", way.plan.small},
          {"arena_bytes", way.plan.arena},
          {"scratch_bytes", way.plan.scratch},
          {"descriptor_bytes", way.plan.descriptors},
          {"loading_peak_bytes", way.loading},
          {"building_peak_bytes", way.building},
          {"reserved_bytes", way.reserved(1)},
          {"peak_bytes", way.peak(1)},
          {"needed_bytes", way.needed(1)},
          {"by_sessions", by_sessions(way, most)},
          {"max_sessions", most}};
}

json::object to_object(const Capacity& capacity, const Choice& choice) {
  const Way& way = capacity.ways[choice.way];
  return {{"placement", to_string(way.placement)},
          {"heatmap", way.heatmaps},
          {"sessions", choice.sessions},
          {"reserved_bytes", way.reserved(choice.sessions)},
          {"peak_bytes", way.peak(choice.sessions)}};
}

json::array to_array(std::span<const Capacity> models, std::span<const Comparison> comparisons) {
  json::array rows;
  for (const Comparison& row : comparisons) {
    const Capacity& capacity = models[row.model];
    json::object object{{"name", row.name}, {"meaning", row.meaning}, {"seed_mb", row.seed_mb}};
    object["ours"] = to_object(capacity, row.choice);
    object["precision"] = capacity.computed;
    object["remark"] = row.remark;
    rows.push_back(std::move(object));
  }
  return rows;
}

json::object to_object(const Capacity& capacity) {
  json::array ways;
  for (const Way& way : capacity.ways) ways.push_back(to_object(way, capacity.limit.bytes));
  const Size photo = capacity.assumptions.photo.stored;
  json::object object{{"model", {{"name", capacity.card.name}, {"version", capacity.card.version}}},
                      {"stored_as", capacity.stored},
                      {"computed_in", capacity.computed},
                      {"limit_bytes", capacity.limit.bytes},
                      {"limit_source", to_string(capacity.limit.source)},
                      {"measured", {"base", "code"}},
                      {"photo", {{"width", photo.width}, {"height", photo.height}}},
                      {"upload_bytes", capacity.assumptions.upload},
                      {"base_bytes", capacity.base},
                      {"least_bytes", capacity.least},
                      {"configurations", std::move(ways)},
                      {"recommendation", capacity.sentence}};
  object["recommended"] = capacity.recommended
                              ? json::value(to_object(capacity, *capacity.recommended))
                              : json::value(nullptr);
  return object;
}

}  // namespace

json::object to_json(std::span<const Capacity> models) {
  json::object object;
  if (models.size() == 1) {
    object = to_object(models.front());
  } else {
    json::array plans;
    for (const Capacity& capacity : models) plans.push_back(to_object(capacity));
    const std::size_t best = best_of(models);
    object = {
        {"plans", std::move(plans)}, {"best", best}, {"recommendation", models[best].sentence}};
  }
  object["seed"] = to_array(models, compare_with_seed(models));
  const Applying applying = applying_plan(models);
  object["applies"] = {{"plan", applying.plan}, {"reason", applying.reason}};
  return object;
}

}  // namespace dermlens::capacity
