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

// A way to run one of several models.
struct Pick {
  std::size_t model = 0, way = 0;
  std::string remark;
};

// Another precision, in the way that takes least; of the first model its streamed weights, where no
// other one `suits`.
template <class Suits>
Pick narrowed(std::span<const Capacity> models, bool heatmaps, Suits suits) {
  Pick best{0, find(models.front(), heatmaps, Placement::streamed),
            "weights streamed: smaller, and no digit is lost"};
  for (std::size_t i = 1; i < models.size(); ++i) {
    if (!suits(models[i])) continue;
    for (std::size_t j = 0; j < models[i].ways.size(); ++j) {
      const Way& way = models[i].ways[j];
      if (way.heatmaps != heatmaps) continue;
      if (best.model != 0 && models[best.model].ways[best.way].peak(1) <= way.peak(1)) continue;
      best = {i, j, models[i].stored + " weights, " + std::string(to_string(way.placement))};
    }
  }
  return best;
}

bool is_any(const Capacity& /*model*/) { return true; }
bool is_half(const Capacity& model) { return model.stored == "fp16" || model.stored == "bf16"; }

std::string of_heatmaps(const Way& with, const Way& without) {
  if (!with.heatmaps) return "the model has no heatmaps";
  const Bytes cost = with.peak(1) - std::min(with.peak(1), without.peak(1));
  return "heatmaps cost " + format_size(cost);
}

}  // namespace

std::vector<Comparison> compare_with_seed(std::span<const Capacity> models) {
  const Capacity& capacity = models.front();
  const bool heatmaps = capacity.ways.front().heatmaps;
  const Pick as_is{0, find(capacity, heatmaps, Placement::resident), "weights resident"};
  const Pick without{0, find(capacity, false, Placement::resident),
                     of_heatmaps(capacity.ways[as_is.way], capacity.ways[without.way])};
  const Pick any = narrowed(models, heatmaps, is_any);
  const Pick half = narrowed(models, heatmaps, is_half);
  const std::size_t best = capacity.recommended ? capacity.recommended->way
                                                : narrowed({&capacity, 1}, heatmaps, is_any).way;
  const int threads = capacity.assumptions.threads;
  const std::string of_threads = threads == 1
                                     ? "one a request already"
                                     : std::to_string(threads) + " a request, as --threads says";
  std::vector<Comparison> rows;
  const auto add = [&](std::string name, std::string meaning, std::string seed_mb, const Pick& pick,
                       std::string remark) {
    const Bytes limit = models[pick.model].limit.bytes;
    if (models[pick.model].ways[pick.way].needed(1) > limit) remark += "; does not fit";
    rows.push_back({std::move(name),
                    std::move(meaning),
                    std::move(seed_mb),
                    pick.model,
                    {pick.way, 1},
                    std::move(remark)});
  };
  add("A", "as it is", "486, 510", as_is, as_is.remark);
  add("B", "quantize, one thread", "360, 410", any, any.remark);
  add("C", "no Grad-CAM", "436", without, without.remark);
  rows.push_back({"D", "a larger host", "", 0, {best, 1}, of_larger_host(capacity)});
  add("2A", "one thread", "486", as_is, of_threads);
  add("2B", "Grad-CAM off", "436", without, "ENABLE_GRADCAM=false");
  add("2C", "weights as fp16", "360, 410", half.model == 0 ? any : half,
      half.model == 0 ? any.remark : half.remark);
  add("2D", "224 x 224 pixels", "470", as_is, of_size(capacity.card.preprocessing));
  return rows;
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
