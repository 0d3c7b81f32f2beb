// A request has moments: it decodes, it computes, it encodes, a server writes its answer. What it
// holds differs.
#include "capacity/costs.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "image/decode.h"
#include "image/encode.h"

namespace dermlens::capacity {
namespace {

// As diagnose draws: the longest side of what is shown.
constexpr std::uint32_t kLongestShown = 1024;

// A worker's stack and what the allocator keeps for it: an estimate.
constexpr Bytes kWorker = 256 * 1024;

// A model and a pack are read this much at a time; the kernel maps a block around it.
constexpr Bytes kReadAtOnce = (1024 + 128) * 1024;

// Laying weights out has kernels and library pages of its own: at most 3.2 MB were measured.
constexpr Bytes kReordering = Bytes{4} << 20;

// What pictures take, moment by moment.
struct Pictures {
  Bytes decode = 0;  // while the photo is decoded
  Bytes shown = 0;   // from then on
  Bytes encode = 0;  // while the answer's pictures are encoded, without `shown`
  Bytes answer = 0;  // while the server's answer is written: the overlay, and its text
};

Bytes positions_of(const diagnose::Layer& layer) {
  return layer.shape.size() == 4 ? static_cast<Bytes>(layer.shape[2] * layer.shape[3]) : 0;
}

Result<Pictures> picture_costs(const diagnose::Card& card, const diagnose::Layer* layer,
                               const Assumptions& assumptions) {
  const diagnose::Preprocessing& how = card.preprocessing;
  std::vector<Target> targets{Target::exact(
      {static_cast<std::uint32_t>(how.width), static_cast<std::uint32_t>(how.height)}, how.filter)};
  const bool overlay = layer != nullptr && assumptions.overlay;
  const bool draws = overlay || assumptions.keep_photo;
  if (draws) targets.push_back(Target::fit(kLongestShown));
  TRY(const DecodeCost cost, decode_cost(assumptions.photo, targets));
  Pictures pictures;
  pictures.decode = cost.total();
  if (!draws) return pictures;
  const Size shown = targets[1].size_for(assumptions.photo.upright());
  pictures.shown = Picture::bytes_of(shown);
  // A photo of noise, at the quality that is handed out, takes a third of its pixels' bytes.
  if (assumptions.keep_photo) pictures.encode += pictures.shown / 3;
  if (overlay) pictures.encode += png_cost(shown);
  if (overlay && assumptions.keep_photo) {
    const Bytes png = longest_png(shown);
    pictures.answer = png + diagnose::document_bytes(png, positions_of(*layer));
  }
  return pictures;
}

// The map, and the sums over positions and channels that lead to it.
Bytes map_cost(const diagnose::Layer& layer) {
  if (layer.shape.size() != 4) return 0;
  const auto channels = static_cast<Bytes>(layer.shape[1]);
  return (positions_of(layer) * 3 + channels * 2) * sizeof(double);
}

Bytes& of(ByCategory& bytes, Category category) {
  return bytes[static_cast<std::size_t>(category)];
}

Bytes sum(const ByCategory& bytes) { return std::accumulate(bytes.begin(), bytes.end(), Bytes{0}); }

}  // namespace

Result<Way> make_way(const Rehearsal& rehearsal, Placement placement, const diagnose::Card& card,
                     const diagnose::Layer* layer, const Assumptions& assumptions, Bytes base) {
  const plan::Plan& plan = rehearsal.plan;
  TRY(const Pictures pictures, picture_costs(card, layer, assumptions));
  const Bytes window = placement == Placement::streamed ? plan.window : 0;
  Way way;
  way.heatmaps = layer != nullptr;
  way.placement = placement;
  way.plan = plan;
  way.plan.placement = placement;
  way.code_excess = rehearsal.code_asked - std::min(rehearsal.code_asked, plan.code);
  of(way.shared, Category::base) = base;
  of(way.shared, Category::code) = plan.code;
  of(way.shared, Category::weights) = plan.shared(placement) - plan.code;
  of(way.session, Category::arena) = plan.arena;
  of(way.session, Category::scratch) = plan.per_session(placement) - plan.arena + kWorker;
  of(way.session, Category::bodies) = assumptions.upload;
  of(way.session, Category::decode) = pictures.decode;
  const Bytes map = layer ? map_cost(*layer) : 0;
  of(way.session, Category::encode) = std::max(pictures.encode, pictures.answer) + map;
  // Scores in double, and each class's place in the ranking; the map in float.
  of(way.session, Category::results) = card.labels.size() * 32 + map / 2;
  const Bytes held = plan.arena + plan.scratch + plan.descriptors + kWorker + assumptions.upload +
                     of(way.session, Category::results);
  const Bytes encoding = pictures.shown + pictures.encode + map;
  way.session_peak =
      held + std::max({pictures.decode, window + pictures.shown, encoding, pictures.answer});
  const Bytes placed = base + (placement == Placement::resident ? plan.weights : 0) + plan.small;
  const Bytes reading = placed + rehearsal.planning + kReadAtOnce;
  way.loading = std::max(placed + rehearsal.loading, reading);
  way.building = std::max(way.loading, reading + plan.building + kReordering);
  return way;
}

Bytes Way::reserved_at_load(std::uint64_t sessions) const {
  return sum(shared) + code_excess + sessions * plan.per_session(placement);
}

Bytes Way::reserved(std::uint64_t sessions) const { return sum(shared) + sessions * session_peak; }

Bytes Way::peak(std::uint64_t sessions) const {
  return std::max(loading, sum(shared) + sessions * session_peak);
}

Bytes Way::needed(std::uint64_t sessions) const {
  return std::max({building, peak(sessions), reserved(sessions), reserved_at_load(sessions)});
}

std::uint64_t Way::most_sessions(Bytes limit) const {
  // Each term grows by the same for each session, or not at all.
  if (needed(1) > limit) return 0;
  return std::min((limit - reserved(0)) / session_peak,
                  (limit - reserved_at_load(0)) / plan.per_session(placement));
}

}  // namespace dermlens::capacity
