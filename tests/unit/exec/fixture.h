// A committed mini network as a Program with its backward part, ready to run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "exec/program.h"
#include "memory/ledger.h"

namespace dermlens::exec {

// A limit that no mini network comes near.
inline constexpr Bytes kPlenty = Bytes{1} << 30;

struct Ends {
  std::string output, seed, activation, gradient;
};

// A network's graph down to its "watch_last_conv", and the file its weights lie in.
struct Network {
  graph::Graph graph;
  std::vector<std::shared_ptr<const MappedFile>> files;
  Ends ends;
};

// tests/golden/fixtures/NAME/model.onnx, or the file at `name` where it is a path.
Result<Network> read_network(const std::string& name);

// The mini networks that cover every kind of weight and step.
std::vector<std::string> fixture_names();

// What one forward() and one backward() give, bit by bit.
struct Outcome {
  std::vector<float> scores, activation, gradient;
  bool operator==(const Outcome&) const = default;
};

// Smooth values that differ from element to element, and between seeds.
std::vector<float> some_values(std::size_t count, unsigned seed);

// Runs with some_values(…, seed) as the picture and class `of` as the backward seed.
Result<Outcome> run(Session& session, const Program& program, const Ends& ends, unsigned seed,
                    std::size_t of);

// Loads, opens a session and runs once.
Result<Outcome> run_fresh(const std::string& name, const ProgramOptions& options, Ledger& ledger,
                          Arrange arrange = plan::make_layout);

}  // namespace dermlens::exec
