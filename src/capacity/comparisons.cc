// Their figures are estimates by their authors, for one request on a host of 512 MB; where their
// two documents disagree, both stand here.
#include "capacity/comparisons.h"

#include <algorithm>

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
  const std::uint64_t most = capacity.ways[capacity.recommended->way].most_sessions;
  return "not needed: this limit holds " + std::to_string(most) +
         (most == 1 ? " request at once" : " requests at once");
}

std::string of_size(const diagnose::Preprocessing& how) {
  return "the model decides its size (" + std::to_string(how.width) + " x " +
         std::to_string(how.height) + "): nothing changes";
}

}  // namespace

std::vector<Comparison> compare_with_seed(const Capacity& capacity) {
  const bool heatmaps = capacity.ways.front().heatmaps;
  const Choice as_is{find(capacity, heatmaps, Placement::resident), 1};
  const Choice small{find(capacity, heatmaps, Placement::streamed), 1};
  const Choice without{find(capacity, false, Placement::resident), 1};
  const Choice best = capacity.recommended.value_or(small);
  const std::string threads =
      std::to_string(capacity.assumptions.threads) + " a request already (--threads)";
  return {
      {"A", "as it is", "486, 510", as_is, "weights resident, heatmaps on"},
      {"B", "quantize, one thread", "360, 410", small,
       "streaming the weights saves more, and no digit is lost"},
      {"C", "no Grad-CAM", "436", without, "heatmaps cost little: keep them"},
      {"D", "a larger host", "", best, of_larger_host(capacity)},
      {"2A", "one thread", "486", as_is, threads},
      {"2B", "Grad-CAM off", "436", without, "ENABLE_GRADCAM=false"},
      {"2C", "weights as fp16", "360, 410", small,
       "'dermlens quantize' makes the file smaller; streaming makes memory smaller"},
      {"2D", "224 x 224 pixels", "470", as_is, of_size(capacity.card.preprocessing)},
  };
}

}  // namespace dermlens::capacity
