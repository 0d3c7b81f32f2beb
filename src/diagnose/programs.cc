#include "diagnose/programs.h"

#include <algorithm>

#include "grad/grad.h"
#include "graph/passes.h"

namespace dermlens::diagnose {
namespace {

using graph::Graph;
using graph::ValueId;

constexpr std::string_view kSwitchedOff = "heatmaps are switched off";

// The names of a Program's ends: ids do not outlive load().
struct Ends {
  std::string seed, gradient;
};

Result<ValueId> value_named(const Graph& graph, const std::string& name) {
  const auto value = graph.find(name);
  if (!value) return fail(Errc::internal, "a pass lost the value '", name, "'");
  return *value;
}

// Forward to the scores, and with a layer back from them to it.
Result<Ends> prepare(Graph& graph, const Network& network, const std::string& layer,
                     bool keep_outputs) {
  if (!keep_outputs) graph.replace_outputs({});
  TRY(const ValueId scores, value_named(graph, network.scores));
  graph.add_output(scores);
  if (!layer.empty()) {
    TRY(const ValueId target, value_named(graph, layer));
    graph.add_output(target);
  }
  TRY_VOID(graph::simplify(graph));
  if (layer.empty()) return Ends{};
  TRY(const ValueId from, value_named(graph, network.scores));
  TRY(const ValueId target, value_named(graph, layer));
  TRY(const grad::Backward backward, grad::append_backward(graph, from, std::span(&target, 1)));
  return Ends{graph.value(backward.seed).name, graph.value(backward.gradients.at(0)).name};
}

Result<std::size_t> input_named(const exec::Program& program, const std::string& name) {
  const auto index = program.find_input(name);
  if (!index) return fail(Errc::internal, "the program lost its input '", name, "'");
  return *index;
}

Result<std::size_t> output_named(const exec::Program& program, const std::string& name) {
  const auto index = program.find_output(name);
  if (!index) return fail(Errc::internal, "the program lost its output '", name, "'");
  return *index;
}

}  // namespace

Result<Graph> program_graph(const Network& network, const std::string& layer, bool keep_outputs) {
  Graph graph = network.model.graph;
  TRY_VOID(prepare(graph, network, layer, keep_outputs));
  return graph;
}

Lease::~Lease() {
  if (!session_) return;
  const std::lock_guard lock(owner_->mutex);
  if (owner_->idle.size() < owner_->kept_sessions) owner_->idle.push_back(std::move(session_));
}

Result<std::shared_ptr<LayerProgram>> Programs::load(const std::string& layer,
                                                     bool is_first) const {
  auto loaded = std::make_shared<LayerProgram>();
  loaded->layer = layer;
  loaded->kept_sessions = is_first ? static_cast<std::size_t>(options_.sessions) : 1;
  Graph graph = network_.model.graph;
  TRY(const Ends ends, prepare(graph, network_, layer, is_first));
  if (!layer.empty()) {
    const graph::Shape& shape = graph.value(*graph.find(layer)).type.shape;
    loaded->grid = {static_cast<std::size_t>(shape[1]), static_cast<std::size_t>(shape[2]),
                    static_cast<std::size_t>(shape[3])};
  }
  exec::ProgramOptions how;
  how.placement = options_.placement;
  how.threads = options_.threads;
  how.sessions = is_first ? options_.sessions : 1;
  how.cache_dir = options_.cache_dir;
  how.let_reclaim = is_first && options_.let_reclaim;
  how.files = network_.model.files;
  TRY(loaded->program, exec::Program::load(std::move(graph), how, ledger_));
  const exec::Program& program = *loaded->program;
  TRY(loaded->input, input_named(program, network_.input));
  TRY(loaded->scores, output_named(program, network_.scores));
  if (!layer.empty()) {
    TRY(loaded->seed, input_named(program, ends.seed));
    TRY(loaded->activation, output_named(program, layer));
    TRY(loaded->gradient, output_named(program, ends.gradient));
  }
  if (is_first)
    for (const ValueId id : network_.model.graph.outputs()) {
      TRY(const std::size_t index, output_named(program, network_.model.graph.value(id).name));
      loaded->model_outputs.push_back(index);
    }
  return loaded;
}

Result<std::unique_ptr<Programs>> Programs::open(const Network& network, const LoadOptions& options,
                                                 Ledger& ledger) {
  std::unique_ptr<Programs> programs(new Programs(network, options, ledger));
  std::string& why = programs->no_default_layer_;
  if (!options.explain) {
    why = kSwitchedOff;
  } else if (network.layers.automatic.empty()) {
    why = "the model has no layer that all paths cross; a heatmap needs a layer's name";
  } else {
    auto first = programs->load(network.layers.automatic, true);
    if (!first && first.error().code == Errc::unsupported) {
      why =
          "no heatmap is possible at '" + network.layers.automatic + "': " + first.error().message;
    } else if (!first) {
      return tl::make_unexpected(std::move(first).error());
    } else {
      programs->first_ = std::move(*first);
    }
  }
  if (!programs->first_) {
    TRY(programs->first_, programs->load("", true));
  }
  for (int i = 0; i < options.sessions; ++i) {
    TRY(auto session, exec::Session::open(programs->first_->program, ledger));
    programs->first_->idle.push_back(std::move(session));
  }
  return programs;
}

std::shared_ptr<LayerProgram> Programs::find(const std::string& layer) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(others_.begin(), others_.end(),
                                  [&](const auto& other) { return other->layer == layer; });
  if (found == others_.end()) return nullptr;
  others_.splice(others_.begin(), others_, found);
  return others_.front();
}

Result<std::shared_ptr<LayerProgram>> Programs::find_or_load(const std::string& layer) {
  if (auto known = find(layer)) return known;
  const std::lock_guard loading(loading_);
  if (auto known = find(layer)) return known;
  // Make room first: what is dropped gives its bytes back before the new one asks for any. A
  // request that still runs in a dropped one keeps it until it is done.
  std::list<std::shared_ptr<LayerProgram>> dropped;
  {
    const std::lock_guard lock(mutex_);
    while (others_.size() >= kMaxOthers)
      dropped.splice(dropped.begin(), others_, std::prev(others_.end()));
  }
  dropped.clear();
  auto loaded = load(layer, false);
  if (!loaded && loaded.error().code == Errc::no_memory) {
    {
      const std::lock_guard lock(mutex_);
      dropped.swap(others_);
    }
    dropped.clear();
    loaded = load(layer, false);
  }
  if (!loaded) return loaded;
  const std::lock_guard lock(mutex_);
  others_.push_front(*loaded);
  return loaded;
}

Result<Lease> Programs::lease_from(std::shared_ptr<LayerProgram> owner) const {
  if (owner->program->damaged())
    return fail(Errc::corrupt, "the pack of the model's weights changed while it was in use ('",
                owner->program->pack_path(), "')");
  if (network_.model.damaged())
    return fail(Errc::corrupt, "the model's file changed while it was in use (", network_.card.name,
                ")");
  std::unique_ptr<exec::Session> session;
  {
    const std::lock_guard lock(owner->mutex);
    if (!owner->idle.empty()) {
      session = std::move(owner->idle.back());
      owner->idle.pop_back();
    }
  }
  if (!session) {
    TRY(session, exec::Session::open(owner->program, ledger_));
  }
  return Lease(std::move(owner), std::move(session));
}

Result<Lease> Programs::lease(const std::string& layer) {
  if (layer.empty() || layer == first_->layer) return lease_from(first_);
  if (!options_.explain) return fail(Errc::unsupported, kSwitchedOff);
  TRY(auto program, find_or_load(layer));
  return lease_from(std::move(program));
}

}  // namespace dermlens::diagnose
