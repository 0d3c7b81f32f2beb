// The limit moves: somebody writes another one into the control group, or others under it need
// more. Looked at again and again; where the way in which the server runs its model no longer fits
// what is left, it falls to one that does (mapped or streamed weights, fewer sessions) before the
// kernel must kill, and climbs back when there has been room for a while (docs/adr/0007).
#pragma once

#include <mutex>
#include <string>

#include "memory/limit.h"
#include "server/configure.h"
#include "server/message.h"

namespace dermlens::server {

struct App;

// How often to look.
inline constexpr std::chrono::milliseconds kLookPeriod{200};

class Pressure {
 public:
  struct State {
    Configuration configuration;
    Headroom room;
    bool fits = true;       // whether anything does
    std::string fell_from;  // the placement and sessions at start; empty while run as at start
    std::string because;
  };

  Pressure(Configuration configuration, const MemoryLimit& limit);

  // One look, and what follows from it: on one thread at a time, not on the I/O thread, as it may
  // wait for running requests.
  void look(App& app);
  // Any thread.
  State state() const;

 private:
  // The limit is what is left, of which a plan takes `predicted`; the way stays.
  void accept(App& app, const Headroom& room, Bytes predicted);
  void shrink(App& app, const Headroom& room);
  void climb(App& app, const Headroom& room);
  void adopt(App& app, const Headroom& room, Configuration configuration, bool fits);

  const Configuration at_start_;
  mutable std::mutex mutex_;
  State state_;
  int low_looks_ = 0;
  bool unfinished_ = false;  // requests did not end in time: to be tried again
  Clock::time_point roomy_since_ = Clock::time_point::max();
};

}  // namespace dermlens::server
