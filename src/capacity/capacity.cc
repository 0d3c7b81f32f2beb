// Measure, add up, divide, recommend.
#include "capacity/capacity.h"

#include <algorithm>
#include <thread>

#include "base/checked.h"
#include "capacity/comparisons.h"
#include "capacity/costs.h"
#include "capacity/rehearsal.h"

namespace dermlens::capacity {
namespace {

struct Plans {
  plan::Plan forward;
  std::optional<plan::Plan> explain;
  const diagnose::Layer* layer = nullptr;  // of `explain`
};

// Without heatmaps first: what that leaves on the heap is used again by the larger Program.
Result<Plans> rehearse_all(const diagnose::Network& network, Bytes base, int threads) {
  Plans plans;
  TRY(plans.forward, rehearse(network, "", base, threads));
  const diagnose::LayerMap& layers = network.layers;
  const auto layer = std::ranges::find_if(
      layers.layers, [&layers](const auto& one) { return one.name == layers.automatic; });
  if (layers.automatic.empty() || layer == layers.layers.end()) return plans;
  auto explain = rehearse(network, layers.automatic, base, threads);
  if (!explain && explain.error().code != Errc::unsupported)
    return tl::make_unexpected(std::move(explain).error());
  if (explain) {
    plans.explain = *explain;
    plans.layer = &*layer;
  }
  return plans;
}

std::string refusal(const Capacity& capacity) {
  return "nothing fits " + format_size(capacity.limit.bytes) + "; " + format_size(capacity.least) +
         " would do for one request";
}

// One request a core is as fast as it gets.
void recommend(Capacity& capacity) {
  const std::uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  const bool heatmaps = capacity.ways.front().heatmaps;
  const Placement wish = capacity.assumptions.weights;
  auto choice = choose(capacity, heatmaps, wish, cores);
  if (!choice && heatmaps) choice = choose(capacity, false, wish, cores);
  if (!choice) {
    capacity.sentence = refusal(capacity);
    return;
  }
  capacity.recommended = *choice;
  capacity.sentence = describe(capacity, *choice);
  const std::uint64_t most = capacity.ways[choice->way].most_sessions;
  if (most > choice->sessions) capacity.sentence += "; up to " + std::to_string(most) + " fit";
}

}  // namespace

Header phone_photo() {
  Header header;
  header.stored = {4000, 3000};
  header.sampling = {{{2, 2}, {1, 1}, {1, 1}, {0, 0}}};
  return header;
}

Result<Capacity> survey(const std::string& model, const MemoryLimit& limit, Bytes base,
                        const Assumptions& assumptions) {
  TRY(diagnose::Network network, diagnose::read_network(model));
  TRY(const Plans plans, rehearse_all(network, base, assumptions.threads));
  Capacity capacity;
  capacity.limit = limit;
  capacity.assumptions = assumptions;
  capacity.base = base;
  for (const bool heatmaps : {true, false}) {
    if (heatmaps && !plans.explain) continue;
    for (const Placement placement :
         {Placement::resident, Placement::mapped, Placement::streamed}) {
      TRY(Way way, make_way(heatmaps ? *plans.explain : plans.forward, placement, network.card,
                            heatmaps ? plans.layer : nullptr, assumptions, base));
      const Bytes fixed = way.reserved(0);
      if (limit.bytes > fixed) way.most_sessions = (limit.bytes - fixed) / way.session_reserved;
      capacity.ways.push_back(way);
    }
  }
  capacity.card = std::move(network.card);
  const auto one = [](const Way& way) { return way.reserved(1); };
  capacity.least = std::ranges::min(capacity.ways, {}, one).reserved(1);
  recommend(capacity);
  capacity.comparisons = compare_with_seed(capacity);
  return capacity;
}

Result<Choice> choose(const Capacity& capacity, bool heatmaps, Placement wish,
                      std::uint64_t sessions) {
  std::optional<Choice> best;
  Bytes least = 0;
  bool any = false;
  for (std::size_t i = 0; i < capacity.ways.size(); ++i) {
    const Way& way = capacity.ways[i];
    if (way.heatmaps != heatmaps) continue;
    if (wish != Placement::automatic && way.placement != wish) continue;
    least = any ? std::min(least, way.reserved(1)) : way.reserved(1);
    any = true;
    const std::uint64_t fit = std::min(sessions, way.most_sessions);
    if (fit > 0 && (!best || fit > best->sessions)) best = Choice{i, fit};
  }
  if (!any) return fail(Errc::unsupported, "no heatmap is possible (", capacity.card.name, ")");
  if (best) return *best;
  auto error =
      fail(Errc::over_limit, "the memory limit is below the smallest plan (", format_size(least),
           " needed, ", format_size(capacity.limit.bytes), " allowed, ", capacity.card.name, ")");
  error.value().needed = least;
  error.value().available = capacity.limit.bytes;
  return error;
}

std::string describe(const Capacity& capacity, const Choice& choice) {
  const Way& way = capacity.ways[choice.way];
  return std::string(to_string(way.placement)) + " weights, heatmaps " +
         (way.heatmaps ? "on" : "off") + ", " + std::to_string(choice.sessions) +
         (choice.sessions == 1 ? " request" : " requests") + " at once: peak " +
         format_size(way.peak(choice.sessions)) + " of " + format_size(capacity.limit.bytes);
}

}  // namespace dermlens::capacity
