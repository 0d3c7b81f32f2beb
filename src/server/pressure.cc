// Read, compare, and only then act.
#include "server/pressure.h"

#include <algorithm>

#include "base/checked.h"
#include "base/log.h"
#include "memory/process.h"
#include "server/app.h"

namespace dermlens::server {
namespace {

// What the kernel holds for us (page tables, sockets) is charged, too, and is no reason to fall.
constexpr Bytes kKernelShare = Bytes{4} << 20;
// Charges are counted in batches a processor: less than this is not seen.
constexpr Bytes kNoise = Bytes{2} << 20;
// What others hold is read a little later than what we hold: two looks in a row must agree.
constexpr int kLooksToFall = 2;
// So long, and with a tenth of the limit to spare, a larger way must fit before it is taken.
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::seconds kDrain{5};

Headroom look_around(const Options& options) {
  const ProcessMemory own = read_process_memory();
  Headroom room = find_headroom(options.memory_limit, own.anon + own.shared);
  room.others -= std::min(room.others, kKernelShare);
  return room;
}

bool same_way(const Configuration& a, const Configuration& b) {
  return a.placement == b.placement && a.sessions == b.sessions;
}

std::string name_of(const Configuration& configuration) {
  return std::string(to_string(configuration.placement)) + " weights, " +
         std::to_string(configuration.sessions) + " at once";
}

// What a way is chosen for.
MemoryLimit left_of(const Headroom& room) { return {room.bytes(), room.limit.source}; }

// Whether a way is right for what is left: pages are taken back under a control group's limit only.
bool holds(const Configuration& configuration, const Headroom& room) {
  return configuration.reserved <= room.bytes() &&
         (!configuration.let_reclaim || room.limit.source == LimitSource::cgroup);
}

std::string describe(const Headroom& room) {
  std::string text = format_size(room.bytes()) + " are left (" +
                     std::string(to_string(room.limit.source)) + " limit " +
                     format_size(room.limit.bytes);
  if (room.others != 0) text += ", others hold " + format_size(room.others);
  return text + ")";
}

}  // namespace

Pressure::Pressure(Configuration configuration, const MemoryLimit& limit)
    : at_start_(std::move(configuration)), state_{at_start_, Headroom{limit, 0}, true, {}, {}} {}

Pressure::State Pressure::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Pressure::look(App& app) {
  const Headroom room = look_around(app.options);
  const Bytes left = room.bytes(), now = app.ledger.limit();
  const bool moved = room.limit.bytes != state_.room.limit.bytes;
  const bool other_limit =
      state_.configuration.let_reclaim && room.limit.source != LimitSource::cgroup;
  if (unfinished_ || other_limit || (left < now && (moved || now - left >= kNoise))) {
    roomy_since_ = Clock::time_point::max();
    if (!unfinished_ && !other_limit && !moved && ++low_looks_ < kLooksToFall) return;
    low_looks_ = 0;
    shrink(app, room);
    return;
  }
  low_looks_ = 0;
  if (left > now && (moved || left - now >= kNoise)) {
    accept(app, room, state_.configuration.peak);
  }
  climb(app, room);
}

void Pressure::accept(App& app, const Headroom& room, Bytes predicted) {
  app.set_limit(room.bytes(), predicted);
  const std::lock_guard lock(mutex_);
  state_.room = room;
}

void Pressure::shrink(App& app, const Headroom& room) {
  if (state_.fits && !unfinished_ && holds(state_.configuration, room)) {
    accept(app, room, state_.configuration.peak);
    return;
  }
  auto chosen = configure_anew(at_start_, app.options, left_of(room));
  if (!chosen && !state_.fits) {
    accept(app, room, state_.configuration.peak);
    return;
  }
  Configuration next = chosen ? std::move(*chosen) : state_.configuration;
  log(LogLevel::warning,
      describe(room) + ": " +
          (chosen ? "falling from " + name_of(state_.configuration) + " to " + name_of(next)
                  : "nothing fits (" + chosen.error().message + "); the model is given back"));
  adopt(app, room, std::move(next), chosen.has_value());
}

void Pressure::climb(App& app, const Headroom& room) {
  const Bytes left = room.bytes();
  // As a flag's: who climbs has room for all of it.
  auto chosen = configure_anew(at_start_, app.options, {left - left / 10, LimitSource::flag});
  if (!chosen) {
    roomy_since_ = Clock::time_point::max();
    return;
  }
  // Out of nothing: at once, there is nothing to lose.
  const bool from_nothing = !state_.fits;
  if (!from_nothing &&
      (same_way(*chosen, state_.configuration) || chosen->peak <= state_.configuration.peak)) {
    roomy_since_ = Clock::time_point::max();
    return;
  }
  roomy_since_ = std::min(roomy_since_, Clock::now());
  if (!from_nothing && Clock::now() - roomy_since_ < kPatience) return;
  roomy_since_ = Clock::time_point::max();
  log(LogLevel::info, describe(room) + ": climbing to " + name_of(*chosen));
  adopt(app, room, std::move(*chosen), true);
}

void Pressure::adopt(App& app, const Headroom& room, Configuration configuration, bool fits) {
  const Models::How how{.placement = configuration.placement,
                        .sessions = fits ? configuration.sessions : 0,
                        .request_room = configuration.request_room,
                        .let_reclaim = configuration.let_reclaim};
  // What runs is finished under the limit it was let in under; then the new one holds.
  const auto done = app.models->reconfigure(how, Clock::now() + kDrain);
  accept(app, room, configuration.peak);
  if (!done)
    log(LogLevel::warning,
        "while changing to " + name_of(configuration) + ": " + done.error().message);
  unfinished_ = !done && done.error().code == Errc::busy;
  if (unfinished_) return;
  app.workers.resize(static_cast<std::size_t>(configuration.sessions));
  const std::lock_guard lock(mutex_);
  const bool as_at_start = fits && same_way(configuration, at_start_);
  state_.fits = fits;
  state_.configuration = std::move(configuration);
  state_.fell_from = as_at_start ? std::string() : name_of(at_start_);
  state_.because = as_at_start ? std::string() : describe(room);
}

}  // namespace dermlens::server
