// The end of the load line: a Program is a planned, packed graph, immutable and shared; a Session
// is one arena in which one request runs at a time. Nothing is allocated after a Session is open.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "memory/ledger.h"
#include "plan/plan.h"

namespace dermlens::exec {

struct ProgramOptions {
  plan::Placement placement = plan::Placement::automatic;
  int threads = 1;              // OpenMP threads a session uses
  std::string cache_dir;        // where packs live; empty: no pack is kept
  // What identifies the model's bytes: path, size, modification time or a hash; part of the pack's key.
  std::string model_key;
};

// What callers see of an input or output.
struct TensorInfo {
  std::string name;
  graph::TensorType type;
  bool late = false;
};

class Session;

// Immutable after load(); any thread. Holds reservations in the ledger it was loaded with, which
// must outlive it.
class Program {
 public:
  // Lowers, plans, packs (or opens a pack) and creates primitives. `graph` is simplified, carries
  // its backward nodes if any, and is fused here. Fails with over_limit / no_memory, carrying the
  // bytes that would do; unsupported, naming the node; io or corrupt.
  static Result<std::shared_ptr<const Program>> load(graph::Graph graph,
                                                     const ProgramOptions& options,
                                                     Ledger& ledger);
  virtual ~Program() = default;

  virtual std::span<const TensorInfo> inputs() const = 0;
  virtual std::span<const TensorInfo> outputs() const = 0;
  std::optional<std::size_t> find_input(std::string_view name) const;
  std::optional<std::size_t> find_output(std::string_view name) const;
  virtual const plan::Plan& plan() const = 0;
  // Whether a mapped file changed under us: results since then are worthless.
  virtual bool damaged() const = 0;
};

class Session {
 public:
  // Reserves and maps the arena and scratch of `program` (kept alive by the session).
  static Result<std::unique_ptr<Session>> open(std::shared_ptr<const Program> program,
                                               Ledger& ledger);
  virtual ~Session() = default;

  // The input's elements, row-major, to be filled before the run; an early input is read by
  // forward() and may be overwritten by it, a late one by backward(). Valid while the session lives.
  virtual std::span<float> input(std::size_t index) = 0;

  // Runs what does not depend on late inputs. Fails with corrupt where a mapped file changed.
  virtual Result<void> forward() = 0;
  // Runs the rest; after forward(), as often as wanted, with different seeds.
  virtual Result<void> backward() = 0;

  // Row-major elements; valid until the next forward() (early outputs) or backward() (late ones).
  virtual std::span<const float> output(std::size_t index) const = 0;
};

}  // namespace dermlens::exec
