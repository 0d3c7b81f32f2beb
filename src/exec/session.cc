// Running: each step gets its addresses, which were bound when the session was opened.
#include <omp.h>

#include <vector>

#include "base/checked.h"
#include "exec/engine.h"
#include "exec/program.h"

namespace dermlens::exec {

using kernels::Operand;

struct Session::Impl {
  std::shared_ptr<const Program> program;
  const Engine* engine = nullptr;
  Ledger* ledger = nullptr;
  Reservation arena_hold, scratch_hold;
  Anonymous arena, scratch;
  Anonymous window;  // of streamed weights; its pages are there while steps run
  dnnl::stream stream{kernels::cpu_engine()};
  std::vector<dnnl::memory> views;
  std::vector<dnnl::memory> scratchpads;
  // By step: oneDNN's argument lists, or the addresses for a native kernel.
  std::vector<std::vector<dnnl_exec_arg_t>> primitive_arguments;
  std::vector<std::vector<std::byte*>> native_arguments;

  // Where a streamed weight is while the step runs.
  std::byte* in_window(const Step& step, kernels::WeightId weight) const {
    std::byte* at = window.data();
    for (const kernels::WeightId id : step.streamed) {
      if (id == weight) break;
      at += align_up(engine->weights.size(id), plan::kAlignment);
    }
    return at;
  }

  bool is_streamed(const Operand& operand) const {
    return operand.kind == Operand::Kind::weight && engine->weights.is_streamed(operand.index);
  }

  std::byte* address(const Operand& operand) const {
    return operand.kind == Operand::Kind::weight
               ? engine->weights.address(operand.index)
               : arena.data() + engine->buffer_offsets[operand.index];
  }

  void bind() {
    for (const View& view : engine->views)
      views.emplace_back(view.desc, kernels::cpu_engine(),
                         arena.data() + engine->buffer_offsets[view.buffer]);
    primitive_arguments.resize(engine->steps.size());
    native_arguments.resize(engine->steps.size());
    for (std::size_t i = 0; i < engine->steps.size(); ++i) bind(i);
  }

  void bind(std::size_t index) {
    const Step& step = engine->steps[index];
    if (step.native) {
      for (const Argument& argument : step.arguments)
        native_arguments[index].push_back(is_streamed(argument.operand)
                                              ? in_window(step, argument.operand.index)
                                              : address(argument.operand));
      return;
    }
    auto& list = primitive_arguments[index];
    for (const Argument& argument : step.arguments) {
      const dnnl::memory& memory = argument.operand.kind == Operand::Kind::buffer
                                       ? views[argument.memory]
                                       : engine->weight_memories[argument.memory];
      list.push_back({argument.id, memory.get()});
    }
    if (step.scratchpad.get_size() > 0) {
      scratchpads.emplace_back(step.scratchpad, kernels::cpu_engine(), scratch.data());
      list.push_back({DNNL_ARG_SCRATCHPAD, scratchpads.back().get()});
    }
  }

  dnnl_status_t execute(const Step& step, const std::vector<dnnl_exec_arg_t>& list) const {
    return dnnl_primitive_execute(step.primitive.get(), stream.get(), static_cast<int>(list.size()),
                                  list.data());
  }

  // Handles to the window are made for the moment: kept, they would take more than a small window.
  dnnl_status_t execute_streamed(const Step& step, std::vector<dnnl_exec_arg_t> list) const {
    std::vector<dnnl::memory> handles;
    for (std::size_t i = 0; i < step.arguments.size(); ++i) {
      const Argument& argument = step.arguments[i];
      if (!is_streamed(argument.operand)) continue;
      handles.emplace_back(engine->weight_memories[argument.memory].get_desc(),
                           kernels::cpu_engine(), in_window(step, argument.operand.index));
      list[i].memory = handles.back().get();
    }
    return execute(step, list);
  }

  Result<void> run_step(std::size_t index) const {
    const Step& step = engine->steps[index];
    engine->weights.read(step.streamed, window.data());
    if (step.native) {
      step.native(native_arguments[index]);
      return {};
    }
    const auto& list = primitive_arguments[index];
    const dnnl_status_t status =
        step.streamed.empty() ? execute(step, list) : execute_streamed(step, list);
    if (status == dnnl_success) return {};
    return fail(status == dnnl_out_of_memory ? Errc::no_memory : Errc::internal, "node '",
                step.name, "' failed (oneDNN status ", static_cast<int>(status), ")");
  }

  Result<void> run(std::size_t begin, std::size_t end) {
    // Before and after, a request needs the window's room for pictures.
    const plan::Plan& plan = engine->plan;
    TRY(const Reservation hold,
        ledger->reserve(Category::scratch, plan.per_session(plan.placement) - plan.idle_session()));
    omp_set_num_threads(engine->threads);
    Result<void> done;
    try {
      for (std::size_t i = begin; i < end && done; ++i) done = run_step(i);
    } catch (const dnnl::error& error) {
      done = fail(Errc::no_memory, "no memory for a handle (", error.what(), ")");
    }
    window.drop();
    if (!done) return done;
    if (program->damaged())
      return fail(Errc::corrupt, "the weights' file changed while it was in use ('",
                  engine->pack_path, "')");
    return {};
  }
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::open(std::shared_ptr<const Program> program,
                                               Ledger& ledger) {
  auto impl = std::make_unique<Impl>();
  impl->engine = program->engine_.get();
  impl->ledger = &ledger;
  impl->program = std::move(program);
  const plan::Plan& plan = impl->engine->plan;
  TRY(impl->arena_hold, ledger.reserve(Category::arena, plan.arena));
  TRY(impl->scratch_hold, ledger.reserve(Category::scratch, plan.idle_session() - plan.arena));
  TRY(impl->arena, Anonymous::map(plan.arena));
  TRY(impl->scratch, Anonymous::map(plan.scratch));
  if (plan.placement == plan::Placement::streamed) {
    TRY(impl->window, Anonymous::map(plan.window));
  }
  try {
    impl->bind();
  } catch (const dnnl::error& error) {
    return fail(Errc::no_memory, "a session cannot be made (", error.what(), ")");
  }
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

std::span<float> Session::input(std::size_t index) {
  CHECK(index < impl_->engine->inputs.size());
  const Operand operand{Operand::Kind::buffer, impl_->engine->inputs[index]};
  return {reinterpret_cast<float*>(impl_->address(operand)),
          impl_->program->inputs()[index].type.elements()};
}

Result<void> Session::forward() { return impl_->run(0, impl_->engine->late_begin); }

Result<void> Session::backward() {
  return impl_->run(impl_->engine->late_begin, impl_->engine->steps.size());
}

std::span<const float> Session::output(std::size_t index) const {
  CHECK(index < impl_->engine->outputs.size());
  return {reinterpret_cast<const float*>(impl_->address(impl_->engine->outputs[index])),
          impl_->program->outputs()[index].type.elements()};
}

}  // namespace dermlens::exec
