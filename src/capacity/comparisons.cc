// Their figures are estimates by their authors, for one request on a host of 512 MB; where their
// two documents disagree, both stand here.
#include <algorithm>

#include "capacity/capacity.h"

namespace dermlens::capacity {
namespace {

// The first way, fastest first, that is like this; the first of all where none is.
std::size_t find(const Capacity& capacity, bool heatmaps, Placement placement) {
  const auto found = std::ranges::find_if(capacity.ways, [&](const Way& way) {
    return way.heatmaps == heatmaps && way.placement == placement;
  });
  return found == capacity.ways.end() ? 0 : static_cast<std::size_t>(found - capacity.ways.begin());
}

std::string of_larger_host(const Capacity& capacity) {
  if (!capacity.recommended) return "needed: nothing fits this limit";
  const std::uint64_t most =
      capacity.ways[capacity.recommended->way].most_sessions(capacity.limit.bytes);
  return "not needed: " + std::to_string(most) + (most == 1 ? " request fits" : " at once fit");
}

std::string of_size(const diagnose::Preprocessing& how) {
  return "changes nothing: the model takes " + std::to_string(how.width) + " x " +
         std::to_string(how.height);
}

// The model with the fewest bytes of weights; 0: the first, as it is.
std::size_t narrowest(std::span<const Capacity> models) {
  const auto weights = [](const Capacity& one) { return one.ways.front().plan.weights; };
  return static_cast<std::size_t>(std::ranges::min_element(models, {}, weights) - models.begin());
}

std::string of_narrowing(const Capacity& capacity, std::size_t index) {
  return index == 0 ? "weights streamed: smaller, and no digit is lost"
                    : capacity.computed + " weights, resident";
}

}  // namespace

std::vector<Comparison> compare_with_seed(std::span<const Capacity> models) {
  const Capacity& capacity = models.front();
  const std::size_t narrow = narrowest(models);
  const bool heatmaps = capacity.ways.front().heatmaps;
  const Choice as_is{find(capacity, heatmaps, Placement::resident), 1};
  const Choice small{find(capacity, heatmaps, Placement::streamed), 1};
  const Choice narrowed =
      narrow == 0 ? small : Choice{find(models[narrow], heatmaps, Placement::resident), 1};
  const Choice without{find(capacity, false, Placement::resident), 1};
  const Choice best = capacity.recommended.value_or(small);
  const int threads = capacity.assumptions.threads;
  const std::string of_threads = threads == 1
                                     ? "one a request already"
                                     : std::to_string(threads) + " a request, as --threads says";
  return {
      {"A", "as it is", "486, 510", 0, as_is, "weights resident, heatmaps on"},
      {"B", "quantize, one thread", "360, 410", narrow, narrowed,
       of_narrowing(models[narrow], narrow)},
      {"C", "no Grad-CAM", "436", 0, without, "heatmaps cost little: keep them"},
      {"D", "a larger host", "", 0, best, of_larger_host(capacity)},
      {"2A", "one thread", "486", 0, as_is, of_threads},
      {"2B", "Grad-CAM off", "436", 0, without, "ENABLE_GRADCAM=false"},
      {"2C", "weights as fp16", "360, 410", narrow, narrowed, of_narrowing(models[narrow], narrow)},
      {"2D", "224 x 224 pixels", "470", 0, as_is, of_size(capacity.card.preprocessing)},
  };
}

Applying applying_plan(std::span<const Capacity> models) {
  const std::size_t index = best_of(models);
  const Capacity& best = models[index];
  if (!best.recommended) return {"D", best.sentence};
  const Way& way = best.ways[best.recommended->way];
  const std::string placed = std::string(to_string(way.placement)) + " weights";
  if (!way.heatmaps)
    return {"C", best.ways.front().heatmaps ? "heatmaps (ENABLE_GRADCAM) do not fit; " + placed
                                            : "the model has no heatmaps; " + placed};
  if (index != 0) return {"B", "computed in " + best.computed + " it serves more; " + placed};
  return {"A", "heatmaps on, in the model's own precision, " + placed};
}

}  // namespace dermlens::capacity
