// One configuration measured in the process at hand: what `dermlens bench` runs in fresh ones.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "cli/application.h"

namespace dermlens::cli {

// What this machine can do at best (kernels/rates.h), as {"f32_gflops": .., "gigabytes": ..}.
Result<boost::json::object> measure_floor();

// {"stored": "bf16", "computed": "bf16", "gflop": {"f32": .., "bf16": ..}}: what the model
// multiplies on this CPU, by the types that it is computed in.
Result<boost::json::object> work_of(const std::string& model);

// Loads, answers once, then `runs` times; `photo` is a file. `common` says model and placement.
Result<boost::json::object> measure_latency(const CommonOptions& common, const std::string& photo,
                                            int runs, bool heatmap);

// A server of our own with this model and placement under as many clients as `clients` says, one
// number after the other: requests a second for each, with heatmap and without drawing it.
Result<boost::json::object> measure_throughput(const CommonOptions& common,
                                               const std::string& photo,
                                               const std::vector<unsigned>& clients);

}  // namespace dermlens::cli
