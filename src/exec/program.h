// The end of the load line: a Program is a planned, packed graph, immutable and shared; a Session
// is one arena in which one request runs at a time. No tensor is allocated after a Session is open;
// a window of streamed weights has pages while it runs.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"
#include "graph/graph.h"
#include "memory/ledger.h"
#include "plan/plan.h"

namespace dermlens::exec {

struct ProgramOptions {
  plan::Placement placement = plan::Placement::automatic;
  int threads = 1;           // OpenMP threads a session uses
  int sessions = 1;          // sessions that must fit beside the Program
  std::string cache_dir;     // where packs live; empty: none is kept
  bool let_reclaim = false;  // as plan::Plan::let_reclaim
  // The files that the graph's constants lie in: their content is part of a pack's key.
  std::vector<std::shared_ptr<const MappedFile>> files;
};

// What callers see of an input or output.
struct TensorInfo {
  std::string name;
  graph::TensorType type;
  bool late = false;  // an input: set it before backward(); an output: read it after backward()
};

// The bytes that load() would need, without loading: nothing is reserved, compiled or written.
// `graph` as for Program::load.
Result<plan::Plan> make_plan(graph::Graph graph, int threads = 1);

struct Engine;  // steps, primitives and weights; private to exec

// Gives every buffer and weight its place.
using Arrange = plan::Layout (*)(const kernels::Lowered& lowered);

// Immutable after load(); any thread. Holds reservations in the ledger it was loaded with, which
// must outlive it.
class Program {
 public:
  // Lowers, plans, packs (or opens a pack) and creates primitives. `graph` is simplified, carries
  // its backward nodes if any, and is fused here. Fails with over_limit or no_memory, carrying the
  // bytes that would do; unsupported, naming the node; io or corrupt.
  static Result<std::shared_ptr<const Program>> load(graph::Graph graph,
                                                     const ProgramOptions& options, Ledger& ledger,
                                                     Arrange arrange = plan::make_layout);
  // As load(), but weights are zeros that take no memory, whatever the placement asked for, and no
  // file is written: to measure what running takes besides them.
  static Result<std::shared_ptr<const Program>> load_blank(graph::Graph graph,
                                                           const ProgramOptions& options,
                                                           Ledger& ledger);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::span<const TensorInfo> inputs() const { return inputs_; }
  std::span<const TensorInfo> outputs() const { return outputs_; }
  std::optional<std::size_t> find_input(std::string_view name) const;
  std::optional<std::size_t> find_output(std::string_view name) const;
  const plan::Plan& plan() const;
  // Where the pack lies; empty where there is none, or it has no name.
  const std::string& pack_path() const;
  // Whether load() had to build the pack.
  bool pack_built() const;
  // Whether a mapped file changed under us: results since then are worthless.
  bool damaged() const;

 private:
  friend class Session;
  Program();
  static Result<std::shared_ptr<const Program>> make(graph::Graph graph,
                                                     const ProgramOptions& options, Ledger& ledger,
                                                     Arrange arrange);
  static Result<std::shared_ptr<const Program>> make_blank(graph::Graph graph,
                                                           const ProgramOptions& options,
                                                           Ledger& ledger);
  std::vector<TensorInfo> inputs_, outputs_;
  std::unique_ptr<Engine> engine_;
};

class Session {
 public:
  // Reserves and maps the arena and scratch of `program` (kept alive by the session). `ledger`
  // outlives the session.
  static Result<std::unique_ptr<Session>> open(std::shared_ptr<const Program> program,
                                               Ledger& ledger);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The input's elements, row-major, to be filled before each run: an early one is read by
  // forward(), a late one by backward(), and either may be overwritten by it. Valid while the
  // session lives.
  std::span<float> input(std::size_t index);

  // Runs what does not depend on late inputs. One thread at a time. Fails with corrupt where
  // the pack's file changed, and with no_memory where the ledger has no room for a window of
  // streamed weights.
  Result<void> forward();
  // Runs the rest; after forward(), as often as wanted, with different seeds.
  Result<void> backward();

  // Row-major elements; valid until the next forward() (early outputs) or backward() (late ones).
  std::span<const float> output(std::size_t index) const;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dermlens::exec
