// The Programs of one model, one for each heatmap layer in use, and their sessions. The default
// layer's Program is loaded at once and kept; others are loaded on demand, the least recently used
// making way. All of them reserve in the ledger; nothing here is sized by a request.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "diagnose/cam.h"
#include "diagnose/model.h"
#include "diagnose/network.h"
#include "exec/program.h"

namespace dermlens::diagnose {

// The graph of a Program: forward to the scores and, with a layer, back from them to it. With
// `keep_outputs` the file's own outputs stay outputs.
Result<graph::Graph> program_graph(const Network& network, const std::string& layer,
                                   bool keep_outputs);

// A loaded Program and where its ends are. Sessions that are not in use wait in `idle`.
struct LayerProgram {
  std::shared_ptr<const exec::Program> program;
  std::string layer;  // empty: forward only
  Grid grid;
  std::size_t input = 0, scores = 0;
  std::size_t seed = 0, activation = 0, gradient = 0;  // only with a layer
  std::vector<std::size_t> model_outputs;              // the file's own, in its order
  std::size_t kept_sessions = 1;

  std::mutex mutex;
  std::vector<std::unique_ptr<exec::Session>> idle;  // guarded by mutex
};

// A session for the length of a request; goes back to its Program's idle ones with the scope.
class Lease {
 public:
  Lease(std::shared_ptr<LayerProgram> owner, std::unique_ptr<exec::Session> session)
      : owner_(std::move(owner)), session_(std::move(session)) {}
  Lease(Lease&&) = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  const LayerProgram& at() const { return *owner_; }
  exec::Session& session() { return *session_; }

 private:
  std::shared_ptr<LayerProgram> owner_;
  std::unique_ptr<exec::Session> session_;
};

// Any thread. `network` and `ledger` outlive it and its leases.
class Programs {
 public:
  // Loads the default Program and opens its sessions. Where there is no default layer, or it cannot
  // be differentiated, the Program is forward-only and no_default_layer() says why.
  static Result<std::unique_ptr<Programs>> open(const Network& network, const LoadOptions& options,
                                                Ledger& ledger);

  // A session at that layer; the empty name means the default Program, whatever its layer. Loads
  // the layer's Program if need be; fails as Program::load and Session::open do, with unsupported
  // where heatmaps are off, and with corrupt where a mapped file changed.
  Result<Lease> lease(const std::string& layer);

  const exec::Program& first() const { return *first_->program; }
  const LayerProgram& first_layer() const { return *first_; }
  // Why a heatmap needs a layer's name; empty where it does not.
  const std::string& no_default_layer() const { return no_default_layer_; }

 private:
  // On top of the default one: each costs the weights again where they are resident.
  static constexpr std::size_t kMaxOthers = 2;

  Programs(const Network& network, const LoadOptions& options, Ledger& ledger)
      : network_(network), options_(options), ledger_(ledger) {}

  Result<std::shared_ptr<LayerProgram>> load(const std::string& layer, bool is_first) const;
  Result<std::shared_ptr<LayerProgram>> find_or_load(const std::string& layer);
  std::shared_ptr<LayerProgram> find(const std::string& layer);
  Result<Lease> lease_from(std::shared_ptr<LayerProgram> owner) const;

  const Network& network_;
  LoadOptions options_;
  Ledger& ledger_;
  std::string no_default_layer_;
  std::shared_ptr<LayerProgram> first_;

  std::mutex loading_;  // one load at a time: two would need twice the memory
  std::mutex mutex_;
  std::list<std::shared_ptr<LayerProgram>> others_;  // most recently used first; guarded by mutex_
};

}  // namespace dermlens::diagnose
