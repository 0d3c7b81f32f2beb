// One Program run once, with weights that take no memory, and what it leaves: the measured part of
// a plan. Private to `capacity`.
#pragma once

#include <string>

#include "capacity/capacity.h"
#include "diagnose/network.h"
#include "plan/plan.h"

namespace dermlens::capacity {

// How things stood at the start. `base` is what counts as the bare process: this one, or the server
// that this one was forked from (whose mapped files the fork did not inherit), and what a server is
// allowed besides.
struct Before {
  Bytes base = 0;
  Bytes anon = 0;       // of this process, as of the server
  Bytes allowance = 0;  // of `base`, at most kServerAllowance
};
Before look_around(Bytes base);

// In bytes above `base`.
struct Rehearsal {
  // `code` is what is there when a photo has been answered, and neither weights nor a session are
  // left.
  plan::Plan plan;
  Bytes code_asked = 0;  // what Program::load() asks for in its place, before it is measured
  Bytes planning = 0;    // the most until the weights are placed
  Bytes loading = 0;     // the most until the first session is opened, weights apart
};

// Loads the Program to `layer` (null: without heatmaps) and answers a photo with it. Fails as
// Program::load does.
Result<Rehearsal> rehearse(const diagnose::Network& network, const diagnose::Layer* layer,
                           const Before& before, int threads);

}  // namespace dermlens::capacity
