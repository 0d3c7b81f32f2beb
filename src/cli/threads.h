// OpenMP's waiting policy, which its runtime reads before main begins.
#pragma once

namespace dermlens::cli {

// Starts the program anew with OMP_WAIT_POLICY=passive where --threads asks for more than one and
// the user has not chosen a policy: threads that spin while they wait ruin every latency on a busy
// machine. Returns where nothing is to be done.
void settle_thread_waiting(char** argv);

}  // namespace dermlens::cli
