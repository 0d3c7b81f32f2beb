// The document of `dermlens plan --json` and of the server's plan route.
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

json::object to_object(const Way& way) {
  const bool streamed = way.placement == Placement::streamed;
  return {{"heatmap", way.heatmaps},
          {"placement", to_string(way.placement)},
          {"shared_bytes", to_object(way.shared)},
          {"session_bytes", to_object(way.session)},
          {"session_reserved_bytes", way.session_reserved},
          {"session_peak_bytes", way.session_peak},
          {"weights_bytes", way.plan.weights},
          {"window_bytes", streamed ? way.plan.window : 0},
          {"small_bytes", way.plan.small},
          {"arena_bytes", way.plan.arena},
          {"scratch_bytes", way.plan.scratch},
          {"descriptor_bytes", way.plan.descriptors},
          {"building_bytes", way.plan.building},
          {"reserved_bytes", way.reserved(1)},
          {"peak_bytes", way.peak(1)},
          {"max_sessions", way.most_sessions}};
}

json::object to_object(const Capacity& capacity, const Choice& choice) {
  const Way& way = capacity.ways[choice.way];
  return {{"placement", to_string(way.placement)},
          {"heatmap", way.heatmaps},
          {"sessions", choice.sessions},
          {"reserved_bytes", way.reserved(choice.sessions)},
          {"peak_bytes", way.peak(choice.sessions)}};
}

json::object to_object(const Capacity& capacity, const Comparison& comparison) {
  json::object object{
      {"name", comparison.name}, {"meaning", comparison.meaning}, {"seed_mb", comparison.seed_mb}};
  object["ours"] = to_object(capacity, comparison.choice);
  object["remark"] = comparison.remark;
  return object;
}

}  // namespace

json::object to_json(const Capacity& capacity) {
  json::array ways, comparisons;
  for (const Way& way : capacity.ways) ways.push_back(to_object(way));
  for (const Comparison& comparison : capacity.comparisons)
    comparisons.push_back(to_object(capacity, comparison));
  const Size photo = capacity.assumptions.photo.stored;
  json::object object{{"model", {{"name", capacity.card.name}, {"version", capacity.card.version}}},
                      {"limit_bytes", capacity.limit.bytes},
                      {"limit_source", to_string(capacity.limit.source)},
                      {"measured", {"base", "code"}},
                      {"photo", {{"width", photo.width}, {"height", photo.height}}},
                      {"upload_bytes", capacity.assumptions.upload},
                      {"base_bytes", capacity.base},
                      {"least_bytes", capacity.least},
                      {"configurations", std::move(ways)},
                      {"seed", std::move(comparisons)},
                      {"recommendation", capacity.sentence}};
  object["recommended"] = capacity.recommended
                              ? json::value(to_object(capacity, *capacity.recommended))
                              : json::value(nullptr);
  return object;
}

}  // namespace dermlens::capacity
