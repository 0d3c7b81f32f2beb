// Loading: fuse, lower, lay out, choose a placement, reserve, place the weights, compile.
#include "exec/program.h"

#include <omp.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "exec/engine.h"
#include "graph/passes.h"
#include "memory/process.h"

namespace dermlens::exec {
namespace {

using kernels::Operand;

constexpr int kPrimitiveCache = 256;

// Equal steps of one Program share a primitive through oneDNN's cache, and no two Programs do. In
// oneDNN 2.6 a descriptor made while an equal primitive is cached is a copy of that primitive's,
// and its batched matrix multiplication keeps a pointer to the attributes of the first descriptor,
// which went with the Program it was made for: the kernel then applies post-operations read from
// freed memory. So the cache is empty when descriptors are made, and one Program is loaded at a
// time.
class PrimitiveCache {
 public:
  PrimitiveCache() : alone_(mutex()) { dnnl::set_primitive_cache_capacity(0); }
  ~PrimitiveCache() { dnnl_set_primitive_cache_capacity(0); }
  PrimitiveCache(const PrimitiveCache&) = delete;
  PrimitiveCache& operator=(const PrimitiveCache&) = delete;

  void open() { dnnl::set_primitive_cache_capacity(kPrimitiveCache); }
  // Forgets what was made.
  void close() { dnnl::set_primitive_cache_capacity(0); }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  std::lock_guard<std::mutex> alone_;
};

struct Prepared {
  graph::Graph graph;
  kernels::Lowered lowered;
  plan::Layout layout;
};

// With a ledger, lowering is paid for while it lasts; the plan then has its own price for the
// steps.
Result<Prepared> prepare(graph::Graph graph, Ledger* ledger = nullptr,
                         Arrange arrange = plan::make_layout) {
  TRY_VOID(graph::fuse(graph));
  Reservation lowering;
  if (ledger != nullptr) {
    TRY(lowering, ledger->reserve(Category::code, kernels::lowering_bytes(graph)));
  }
  TRY(kernels::Lowered lowered, kernels::lower(graph));
  plan::Layout layout = arrange(lowered);
  return Prepared{std::move(graph), std::move(lowered), std::move(layout)};
}

// Finds the same view again, or adds it.
std::size_t view_index(std::vector<View>& views, kernels::BufferId buffer,
                       const kernels::Desc& desc) {
  for (std::size_t i = views.size(); i-- > 0;)
    if (views[i].buffer == buffer && views[i].desc == desc) return i;
  views.push_back({buffer, desc});
  return views.size() - 1;
}

void compile_step(const kernels::Step& from, Engine& engine) {
  Step step;
  step.name = from.name;
  for (const kernels::Argument& argument : from.arguments) {
    Argument bound{argument.id, argument.operand, 0};
    if (argument.operand.kind == Operand::Kind::buffer) {
      bound.memory = view_index(engine.views, argument.operand.index, argument.desc);
    } else {
      const kernels::WeightId id = argument.operand.index;
      bound.memory = engine.weight_memories.size();
      engine.weight_memories.emplace_back(argument.desc, kernels::cpu_engine(),
                                          engine.weights.address(id));
      if (engine.weights.is_streamed(id)) step.streamed.push_back(id);
    }
    step.arguments.push_back(bound);
  }
  if (const auto* native = std::get_if<kernels::Native>(&from.kernel)) {
    step.native = *native;
  } else {
    const auto& pd = std::get<dnnl::primitive_desc_base>(from.kernel);
    step.scratchpad = pd.query_md(dnnl::query::exec_arg_md, DNNL_ARG_SCRATCHPAD);
    step.primitive = dnnl::primitive(pd.get());
  }
  engine.steps.push_back(std::move(step));
}

// Machine code and descriptions are measured: what the process has of its own more than before,
// never less than nothing. What making kernels leaves free on the heap is no code: it goes before,
// lest code be made in it and not be seen, and after.
Result<void> compile(const Prepared& prepared, PrimitiveCache& cache, Engine& engine,
                     Ledger& ledger) {
  TRY(engine.code_hold, ledger.reserve(Category::code, engine.plan.code));
  cache.open();
  trim_heap();
  const Bytes before = read_process_memory().anon;
  try {
    for (const kernels::Step& step : prepared.lowered.steps) compile_step(step, engine);
  } catch (const dnnl::error& error) {
    return fail(error.status == dnnl_out_of_memory ? Errc::no_memory : Errc::unsupported,
                "a kernel cannot be made (", error.what(), ")");
  }
  trim_heap();
  const Bytes after = read_process_memory().anon;
  engine.plan.code = after > before ? after - before : 0;
  engine.buffer_offsets = prepared.layout.arena.offsets;
  engine.late_begin = prepared.lowered.late_begin;
  engine.inputs = prepared.lowered.inputs;
  engine.outputs = prepared.lowered.outputs;
  return engine.code_hold.resize(engine.plan.code);
}

void describe(const Prepared& prepared, std::vector<TensorInfo>& inputs,
              std::vector<TensorInfo>& outputs) {
  const graph::Graph& graph = prepared.graph;
  std::vector<bool> late(graph.value_count(), false);
  for (const graph::Input& input : graph.inputs()) {
    const graph::Value& value = graph.value(input.value);
    inputs.push_back({value.name, value.type, input.late});
    late[input.value] = input.late;
  }
  for (const graph::Node& node : graph.nodes())
    late[node.output] = std::ranges::any_of(
        node.inputs, [&late](graph::ValueId id) { return id != graph::kNoValue && late[id]; });
  for (const graph::ValueId id : graph.outputs())
    outputs.push_back({graph.value(id).name, graph.value(id).type, late[id]});
}

// Chooses a placement by the plan, or takes the one that is wished, places the weights and
// compiles.
Result<void> build(const Prepared& prepared, const ProgramOptions& options, plan::Placement wish,
                   PrimitiveCache& cache, Engine& engine, Ledger& ledger) {
  const pack::Source source{prepared.graph, prepared.lowered, prepared.layout};
  engine.threads = options.threads;
  engine.plan = prepared.layout.plan;
  if (options.let_reclaim) engine.plan.let_reclaim();
  const Bytes most = ledger.most() - std::min(ledger.most(), ledger.reserved(Category::base));
  TRY(engine.plan.placement,
      plan::choose_placement(engine.plan, wish, options.sessions, ledger.available(), most));
  TRY(engine.weights_hold,
      ledger.reserve(Category::weights,
                     engine.plan.shared(engine.plan.placement) - engine.plan.code));
  TRY(engine.weights,
      WeightStore::make(source, engine.plan.placement, options.files, options.cache_dir, ledger));
  for (const auto& file : options.files) {
    if (file->damaged())
      return fail(Errc::corrupt, "the model changed while it was read ('", file->path(), "')");
    file->drop(0, file->bytes().size());
  }
  engine.pack_path = engine.weights.pack().path;
  engine.pack_built = engine.weights.pack().built;
  return compile(prepared, cache, engine, ledger);
}

std::optional<std::size_t> find(std::span<const TensorInfo> all, std::string_view name) {
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].name == name) return i;
  return std::nullopt;
}

}  // namespace

Program::Program() : engine_(std::make_unique<Engine>()) {}
Program::~Program() = default;

Result<plan::Plan> make_plan(graph::Graph graph, int threads) {
  // Scratch bytes depend on how many threads a primitive is made for.
  omp_set_num_threads(threads);
  TRY(const Prepared prepared, prepare(std::move(graph)));
  return prepared.layout.plan;
}

Result<std::shared_ptr<const Program>> Program::load(graph::Graph graph,
                                                     const ProgramOptions& options, Ledger& ledger,
                                                     Arrange arrange) {
  auto program = make(std::move(graph), options, ledger, arrange);
  // Half of the library is for making kernels, and the graph is gone.
  trim_heap();
  return program;
}

Result<std::shared_ptr<const Program>> Program::make(graph::Graph graph,
                                                     const ProgramOptions& options, Ledger& ledger,
                                                     Arrange arrange) {
  // Primitives are made for, and must run with, this many threads.
  omp_set_num_threads(options.threads);
  PrimitiveCache cache;
  TRY(Prepared prepared, prepare(std::move(graph), &ledger, arrange));
  std::shared_ptr<Program> program(new Program());
  Result<void> built =
      build(prepared, options, options.placement, cache, *program->engine_, ledger);
  // A placement is chosen by an estimate of the code, and without what building a pack takes for a
  // moment: where there is no room for what comes, a smaller one may leave it.
  const plan::Placement first = program->engine_->plan.placement;
  const bool may_shrink = options.placement == plan::Placement::automatic &&
                          first != plan::Placement::automatic && !built &&
                          built.error().code == Errc::no_memory;
  for (const plan::Placement smaller : {plan::Placement::mapped, plan::Placement::streamed}) {
    if (built || !may_shrink || smaller <= first) continue;
    prepared.layout.plan.code = std::max(prepared.layout.plan.code, program->engine_->plan.code);
    program.reset(new Program());
    cache.close();
    built = build(prepared, options, smaller, cache, *program->engine_, ledger);
  }
  if (!built) return tl::make_unexpected(std::move(built).error());
  describe(prepared, program->inputs_, program->outputs_);
  return program;
}

Result<std::shared_ptr<const Program>> Program::load_blank(graph::Graph graph,
                                                           const ProgramOptions& options,
                                                           Ledger& ledger) {
  auto program = make_blank(std::move(graph), options, ledger);
  trim_heap();
  return program;
}

Result<std::shared_ptr<const Program>> Program::make_blank(graph::Graph graph,
                                                           const ProgramOptions& options,
                                                           Ledger& ledger) {
  omp_set_num_threads(options.threads);
  PrimitiveCache cache;
  TRY(const Prepared prepared, prepare(std::move(graph), &ledger));
  const pack::Source source{prepared.graph, prepared.lowered, prepared.layout};
  std::shared_ptr<Program> program(new Program());
  Engine& engine = *program->engine_;
  engine.threads = options.threads;
  engine.plan = prepared.layout.plan;
  engine.plan.placement = plan::Placement::resident;
  TRY(engine.weights, WeightStore::make_blank(source));
  TRY_VOID(compile(prepared, cache, engine, ledger));
  describe(prepared, program->inputs_, program->outputs_);
  return program;
}

std::optional<std::size_t> Program::find_input(std::string_view name) const {
  return find(inputs_, name);
}

std::optional<std::size_t> Program::find_output(std::string_view name) const {
  return find(outputs_, name);
}

const plan::Plan& Program::plan() const { return engine_->plan; }
const std::string& Program::pack_path() const { return engine_->pack_path; }
bool Program::pack_built() const { return engine_->pack_built; }
bool Program::damaged() const { return engine_->weights.damaged(); }

}  // namespace dermlens::exec
