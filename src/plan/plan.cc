// Lifetimes, packing, and the sums.
#include "plan/plan.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <string>
#include <utility>

#include "base/checked.h"
#include "kernels/lowered.h"

namespace dermlens::plan {
namespace {

constexpr Bytes kPage = 4096;
// Below this a weight is read once into memory of its own block: mapping a page for it costs more.
constexpr Bytes kSmallWeight = 8 * 1024;
// Measured on oneDNN 2.6: one memory object, and one primitive with its code.
constexpr Bytes kMemoryObject = 1024;
constexpr Bytes kPrimitive = 64 * 1024;
// And what a step keeps beside shared code, while it is made: chains of two thousand equal nodes
// took 35 KiB a convolution, 17 a pooling, 12 a product of two values and 6 a loop of ours.
constexpr Bytes kStep = 20 * 1024;
constexpr Bytes kStepOfOurs = 8 * 1024;
constexpr Bytes kStepsWeight = 16 * 1024;
constexpr Bytes kStepsArgument = 1024;

std::vector<Lifetime> lifetimes_of(const kernels::Lowered& lowered) {
  const std::size_t end = lowered.steps.size();
  constexpr std::size_t kUnused = ~std::size_t{0};
  std::vector<Lifetime> lifetimes(lowered.buffers.size());
  for (std::size_t i = 0; i < lifetimes.size(); ++i)
    lifetimes[i] = {lowered.buffers[i].bytes, kUnused, 0};
  const auto touch = [&lifetimes](kernels::BufferId id, std::size_t step) {
    lifetimes[id].first = std::min(lifetimes[id].first, step);
    lifetimes[id].last = std::max(lifetimes[id].last, step);
  };
  for (std::size_t step = 0; step < end; ++step)
    for (const kernels::Argument& argument : lowered.steps[step].arguments)
      if (argument.operand.kind == kernels::Operand::Kind::buffer)
        touch(argument.operand.index, step);
  for (std::size_t i = 0; i < lowered.inputs.size(); ++i)
    touch(lowered.inputs[i], lowered.input_is_late[i] ? lowered.late_begin : 0);
  for (const kernels::Operand& output : lowered.outputs)
    if (output.kind == kernels::Operand::Kind::buffer) touch(output.index, end);
  for (Lifetime& lifetime : lifetimes) {
    if (lifetime.first == kUnused) lifetime.first = 0;
    // backward() may run again, so what forward() left for it stays to the end.
    if (lifetime.first < lowered.late_begin && lifetime.last >= lowered.late_begin)
      lifetime.last = end;
  }
  return lifetimes;
}

void lay_out_weights(const kernels::Lowered& lowered, Layout& layout) {
  Bytes large = 0, small = 0;
  for (const kernels::Weight& weight : lowered.weights) {
    const bool is_small = weight.bytes < kSmallWeight;
    Bytes& end = is_small ? small : large;
    layout.weight_offsets.push_back(end);
    layout.weight_is_small.push_back(is_small);
    end += align_up(weight.bytes, kAlignment);
  }
  for (const bool part : {false, true})
    layout.plan.building =
        std::max(layout.plan.building, staging_of(lowered, layout.weight_is_small, part).total());
  layout.plan.weights = align_up(large, kPage);
  layout.plan.small = align_up(small, kPage);
}

Bytes streaming_window(const kernels::Lowered& lowered, const Layout& layout) {
  Bytes window = 0;
  for (const kernels::Step& step : lowered.steps) {
    Bytes bytes = 0;
    for (const kernels::Argument& argument : step.arguments)
      if (argument.operand.kind == kernels::Operand::Kind::weight &&
          !layout.weight_is_small[argument.operand.index])
        bytes += align_up(lowered.weights[argument.operand.index].bytes, kAlignment);
    window = std::max(window, bytes);
  }
  return align_up(window, kPage);
}

std::string bytes_of(const kernels::Desc& desc) {
  return {reinterpret_cast<const char*>(&desc.data), sizeof desc.data};
}

// oneDNN's handles to the arena that one session holds: one for each buffer and layout.
std::size_t memory_objects(const kernels::Lowered& lowered) {
  std::set<std::pair<std::uint32_t, std::string>> seen;
  for (const kernels::Step& step : lowered.steps)
    for (const kernels::Argument& argument : step.arguments)
      if (argument.operand.kind == kernels::Operand::Kind::buffer)
        seen.emplace(argument.operand.index, bytes_of(argument.desc));
  return seen.size();
}

// Steps of one kernel over the same layouts share their code.
std::size_t distinct_primitives(const kernels::Lowered& lowered) {
  std::set<std::string> seen;
  for (const kernels::Step& step : lowered.steps) {
    const auto* pd = std::get_if<dnnl::primitive_desc_base>(&step.kernel);
    if (pd == nullptr) continue;
    std::string key = pd->impl_info_str();
    for (const kernels::Argument& argument : step.arguments)
      key += std::to_string(argument.id) + bytes_of(argument.desc);
    seen.insert(std::move(key));
  }
  return seen.size();
}

// The larger of the two estimates: real networks have few equal steps, a hostile one has thousands.
Bytes code_estimate(const kernels::Lowered& lowered) {
  Bytes steps = 0;
  for (const kernels::Step& step : lowered.steps) {
    steps += std::holds_alternative<kernels::Native>(step.kernel) ? kStepOfOurs : kStep;
    for (const kernels::Argument& argument : step.arguments)
      steps +=
          argument.operand.kind == kernels::Operand::Kind::weight ? kStepsWeight : kStepsArgument;
  }
  return std::max(distinct_primitives(lowered) * kPrimitive, steps);
}

}  // namespace

std::string_view to_string(Placement placement) {
  switch (placement) {
    case Placement::automatic:
      return "auto";
    case Placement::resident:
      return "resident";
    case Placement::mapped:
      return "mapped";
    case Placement::streamed:
      return "streamed";
  }
  return "auto";
}

Result<Placement> parse_placement(std::string_view text) {
  for (const Placement placement :
       {Placement::automatic, Placement::resident, Placement::mapped, Placement::streamed})
    if (to_string(placement) == text) return placement;
  return fail(Errc::usage, "unknown weight placement (", text,
              ", one of auto, resident, mapped, streamed)");
}

Bytes Plan::per_session(Placement where) const {
  return idle_session() + (where == Placement::streamed ? window : 0);
}

Bytes Plan::shared(Placement where) const {
  return small + code + (where == Placement::streamed ? 0 : weights) -
         (where == Placement::mapped ? reclaimable : 0);
}

Packing pack_arena(const std::vector<Lifetime>& lifetimes) {
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Largest first: small values then fit into the gaps left behind.
  std::ranges::stable_sort(
      order, [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  Packing packing;
  packing.offsets.assign(lifetimes.size(), 0);
  std::vector<std::size_t> placed;
  std::vector<std::pair<Bytes, Bytes>> taken;  // begin, end of what is alive at the same time
  for (const std::size_t id : order) {
    const Lifetime& lifetime = lifetimes[id];
    taken.clear();
    for (const std::size_t other : placed)
      if (lifetimes[other].first <= lifetime.last && lifetime.first <= lifetimes[other].last)
        taken.emplace_back(packing.offsets[other],
                           packing.offsets[other] + align_up(lifetimes[other].bytes, kAlignment));
    std::ranges::sort(taken);
    Bytes offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + lifetime.bytes <= begin) break;
      offset = std::max(offset, end);
    }
    packing.offsets[id] = offset;
    packing.total = std::max(packing.total, offset + align_up(lifetime.bytes, kAlignment));
    placed.push_back(id);
  }
  return packing;
}

Staging staging_of(const kernels::Lowered& lowered, const std::vector<bool>& is_small, bool small) {
  Staging staging;
  for (std::size_t i = 0; i < lowered.weights.size(); ++i) {
    if (is_small[i] != small) continue;
    const kernels::Weight& weight = lowered.weights[i];
    // As stored, or as the fp32 numbers that are reordered: the source says which.
    staging.source = std::max(staging.source, align_up(weight.source.get_size(), sizeof(float)));
    staging.target = std::max(staging.target, weight.bytes);
  }
  return staging;
}

Layout make_layout(const kernels::Lowered& lowered) {
  Layout layout;
  layout.arena = pack_arena(lifetimes_of(lowered));
  lay_out_weights(lowered, layout);
  Plan& plan = layout.plan;
  plan.arena = align_up(layout.arena.total, kPage);
  plan.window = streaming_window(lowered, layout);
  plan.steps = lowered.steps.size();
  plan.backward_steps = lowered.steps.size() - lowered.late_begin;
  for (const kernels::Step& step : lowered.steps)
    plan.scratch = std::max(plan.scratch, step.scratch);
  plan.scratch = align_up(plan.scratch, kPage);
  plan.descriptors = memory_objects(lowered) * kMemoryObject;
  plan.code = code_estimate(lowered);
  return layout;
}

Result<Placement> choose_placement(const Plan& plan, Placement wish, int sessions, Bytes available,
                                   Bytes most) {
  for (const Placement placement : {Placement::resident, Placement::mapped, Placement::streamed}) {
    if (wish != Placement::automatic && wish != placement) continue;
    if (plan.total(placement, sessions) <= available) return placement;
  }
  const Placement smallest = wish == Placement::automatic ? Placement::streamed : wish;
  const Bytes needed = plan.total(smallest, sessions);
  const Errc code = needed > most ? Errc::over_limit : Errc::no_memory;
  auto error = fail(code, "the model does not fit (", to_string(smallest), " weights need ", needed,
                    " B, ", available, " B are free)");
  error.value().needed = needed;
  error.value().available = available;
  return error;
}

}  // namespace dermlens::plan
