// Values of a graph as .npy files, written in pieces: a large result is never in memory twice.
#pragma once

#include <span>
#include <string>

#include "base/npy.h"
#include "graph/graph.h"
#include "memory/ledger.h"

namespace dermlens::cli {

// What a value is written as: integers exactly, floats of any width as fp32.
NpyType written_as(graph::DType type);

// What was computed: every element type as the engine has it, in fp32. Fails as write_file().
Result<void> write_npy(const std::string& path, const graph::TensorType& type,
                       std::span<const float> computed);

// Fails as above, and as Ledger::reserve() where the numbers do not fit.
Result<void> write_npy(const std::string& path, const graph::Value& constant, Ledger& ledger);

}  // namespace dermlens::cli
