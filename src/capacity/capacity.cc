// Measure, add up, divide, recommend.
#include "capacity/capacity.h"

#include <algorithm>
#include <limits>
#include <span>
#include <thread>
#include <tuple>

#include "base/checked.h"
#include "capacity/costs.h"
#include "capacity/rehearsal.h"
#include "kernels/precision.h"

namespace dermlens::capacity {
namespace {

struct Rehearsals {
  Rehearsal forward;
  std::optional<Rehearsal> explain;
  const diagnose::Layer* layer = nullptr;  // of `explain`
};

// Without heatmaps first: what that leaves on the heap is used again by the larger Program.
Result<Rehearsals> rehearse_all(const diagnose::Network& network, const Before& before,
                                int threads) {
  Rehearsals rehearsals;
  TRY(rehearsals.forward, rehearse(network, nullptr, before, threads));
  const diagnose::LayerMap& layers = network.layers;
  const auto layer = std::ranges::find_if(
      layers.layers, [&layers](const auto& one) { return one.name == layers.automatic; });
  if (layers.automatic.empty() || layer == layers.layers.end()) return rehearsals;
  auto explain = rehearse(network, &*layer, before, threads);
  if (!explain && explain.error().code != Errc::unsupported)
    return tl::make_unexpected(std::move(explain).error());
  if (explain) {
    // The first load touches pages of libraries that the second one finds used already.
    explain->planning = std::max(explain->planning, rehearsals.forward.planning);
    explain->loading = std::max(explain->loading, rehearsals.forward.loading);
    rehearsals.explain = *explain;
    rehearsals.layer = &*layer;
  }
  return rehearsals;
}

// This reading may be too low and that of who asks again too high.
Bytes would_do(const Way& way) { return way.needed(1) + 2 * counting_error(); }

bool is_wished(const Way& way, Placement wish) {
  return wish == Placement::automatic || way.placement == wish;
}

Bytes least_of(std::span<const Way> ways, Placement wish) {
  Bytes least = std::numeric_limits<Bytes>::max();
  for (const Way& way : ways)
    if (is_wished(way, wish)) least = std::min(least, would_do(way));
  return least;
}

// In text never less than it is: who asks for what is written must get it.
std::string enough(Bytes bytes) {
  constexpr Bytes kTenths = 10;
  const Bytes tenths = ((bytes * kTenths - 1) >> 20) + 1;
  return std::to_string(tenths / kTenths) + '.' + std::to_string(tenths % kTenths) + " MB";
}

std::string refusal(const Capacity& capacity) {
  const Placement wish = capacity.assumptions.weights;
  const std::string what = wish == Placement::automatic
                               ? "nothing fits "
                               : "nothing with " + std::string(to_string(wish)) + " weights fits ";
  return what + format_size(capacity.limit.bytes) + "; " + enough(capacity.least) +
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
  const std::uint64_t most = capacity.ways[choice->way].most_sessions(capacity.limit.bytes);
  if (most > choice->sessions) capacity.sentence += "; up to " + std::to_string(most) + " fit";
  if (heatmaps && !capacity.ways[choice->way].heatmaps)
    capacity.sentence += "; serve takes it with ENABLE_GRADCAM=false only";
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
  const Before before = look_around(base);
  // What a stranger's model may take while it is looked at, however small the limit.
  constexpr Bytes kAtLeast = Bytes{16} << 20;
  TRY(diagnose::Network network,
      diagnose::read_network(model, std::max(kAtLeast, limit.bytes / 2)));
  TRY(const Rehearsals done, rehearse_all(network, before, assumptions.threads));
  Capacity capacity;
  capacity.limit = limit;
  capacity.assumptions = assumptions;
  capacity.path = model;
  const kernels::Precision precision = kernels::precision_of(network.model.graph);
  capacity.stored = kernels::usual_name(precision.stored);
  capacity.computed = kernels::usual_name(precision.computed);
  capacity.base = base;
  for (const bool heatmaps : {true, false}) {
    if (heatmaps && !done.explain) continue;
    for (const Placement placement :
         {Placement::resident, Placement::mapped, Placement::streamed}) {
      TRY(const Way way, make_way(heatmaps ? *done.explain : done.forward, placement, network.card,
                                  heatmaps ? done.layer : nullptr, assumptions, base));
      capacity.ways.push_back(way);
    }
  }
  capacity.card = std::move(network.card);
  capacity.least = least_of(capacity.ways, assumptions.weights);
  recommend(capacity);
  return capacity;
}

std::size_t best_of(std::span<const Capacity> models) {
  const std::uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  const auto merit = [cores](const Capacity& one) {
    if (!one.recommended)
      return std::tuple(false, std::uint64_t{0}, -static_cast<std::int64_t>(one.least));
    const Way& way = one.ways[one.recommended->way];
    return std::tuple(way.heatmaps, std::min(one.recommended->sessions, cores),
                      -static_cast<std::int64_t>(way.placement));
  };
  return static_cast<std::size_t>(std::ranges::max_element(models, {}, merit) - models.begin());
}

Result<Choice> choose(const Capacity& capacity, bool heatmaps, Placement wish,
                      std::uint64_t sessions) {
  std::optional<Choice> best;
  std::optional<Bytes> least, without;
  for (std::size_t i = 0; i < capacity.ways.size(); ++i) {
    const Way& way = capacity.ways[i];
    if (!is_wished(way, wish)) continue;
    auto& smallest = way.heatmaps == heatmaps ? least : without;
    smallest = std::min(smallest.value_or(would_do(way)), would_do(way));
    if (way.heatmaps != heatmaps) continue;
    const std::uint64_t fit = std::min(sessions, way.most_sessions(capacity.limit.bytes));
    if (fit > 0 && (!best || fit > best->sessions)) best = Choice{i, fit};
  }
  if (!least) return fail(Errc::unsupported, "no heatmap is possible (", capacity.card.name, ")");
  if (best) return *best;
  auto error =
      fail(Errc::over_limit, "the memory limit is below the smallest plan (", enough(*least),
           " needed, ", format_size(capacity.limit.bytes), " allowed, ", capacity.card.name, ")");
  if (heatmaps && without < least)
    error.value().message +=
        "; without heatmaps (ENABLE_GRADCAM=false) " + enough(*without) + " would do";
  error.value().needed = *least;
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
