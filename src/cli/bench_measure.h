// One configuration measured in the process at hand: what `dermlens bench` runs in fresh ones.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "cli/application.h"

namespace dermlens::cli {

// What this machine can do at best (kernels/rates.h), and how fast it reads the file `model` from
// the disk, as {"f32_gflops": .., "gigabytes": .., "disk_gigabytes": ..}.
Result<boost::json::object> measure_floor(const std::string& model);

// {"stored": "bf16", "computed": "bf16", "gflop": {"f32": .., "bf16": ..}}: what the model
// multiplies on this CPU, by the types that it is computed in.
Result<boost::json::object> work_of(const std::string& model);

// Loads, answers once, then `runs` times; `photo` is a file. `common` says model and placement. The
// page cache is warm after the first answer.
Result<boost::json::object> measure_latency(const CommonOptions& common, const std::string& photo,
                                            int runs, bool heatmap);

// The same with a cold page cache: the model and its pack (a path, or empty) are taken out of it
// before they are loaded, and again before each run. {"cold_first_ms": .., "cold_forward_ms": ..,
// "cold_read_bytes": ..}, the last being what a run made the kernel fetch from the disk.
Result<boost::json::object> measure_cold(const CommonOptions& common, const std::string& photo,
                                         const std::string& pack, int runs, bool heatmap);

// A server of our own with this model and placement under as many clients as `clients` says, one
// number after the other: requests a second for each, with heatmap and without drawing it.
Result<boost::json::object> measure_throughput(const CommonOptions& common,
                                               const std::string& photo,
                                               const std::vector<unsigned>& clients);

}  // namespace dermlens::cli
