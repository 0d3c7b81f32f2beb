// Everything that a request touches is touched once, in small.
#include "capacity/rehearsal.h"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <limits>
#include <thread>

#include "capacity/capacity.h"
#include "diagnose/cam.h"
#include "diagnose/preprocess.h"
#include "diagnose/programs.h"
#include "exec/program.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/overlay.h"
#include "memory/process.h"

namespace dermlens::capacity {
namespace {

Bytes above(Bytes start, Bytes now) { return now > start ? now - start : 0; }

// The most that was in memory since the mark was last reset. A command's own mark will be read with
// the same error.
Bytes high_water(const Before& before) {
  const Bytes unsure = before.allowance == 0 ? 0 : counting_error() + before.allowance;
  return above(before.base, read_process_memory().peak_rss + unsure);
}

// What is there now. Pages of files that were mapped before may have gone and come back.
Bytes grown(const Before& before) {
  const ProcessMemory memory = read_process_memory();
  const Bytes now = memory.anon + memory.shared;
  // A command is as it will be. A server's own pages are not mapped here, and will be there; its
  // allowance holds the error.
  if (before.allowance == 0) return above(before.base, now + counting_error() + memory.file);
  return above(before.anon, now) + above(above(before.anon, before.base), memory.file);
}

std::span<const float> output_named(const exec::Program& program, const exec::Session& session,
                                    const std::string& name) {
  const auto index = program.find_output(name);
  return index ? session.output(*index) : std::span<const float>();
}

// The gradient at the layer: what only backward() makes.
std::span<const float> gradient_of(const exec::Program& program, const exec::Session& session) {
  const auto outputs = program.outputs();
  const auto late = std::ranges::find_if(outputs, [](const auto& output) { return output.late; });
  if (late == outputs.end()) return {};
  return session.output(static_cast<std::size_t>(late - outputs.begin()));
}

Result<void> heatmap_of(const diagnose::Network& network, const diagnose::Layer& layer,
                        const exec::Program& program, exec::Session& session, Picture& shown,
                        diagnose::Answer& answer) {
  TRY_VOID(session.backward());
  const auto size = [&layer](std::size_t i) { return static_cast<std::size_t>(layer.shape[i]); };
  const diagnose::Grid grid{size(1), size(2), size(3)};
  diagnose::Heatmap map = diagnose::make_heatmap(diagnose::Method::gradcam, grid,
                                                 output_named(program, session, layer.name),
                                                 gradient_of(program, session));
  const HeatGrid drawn{static_cast<std::uint32_t>(grid.rows),
                       static_cast<std::uint32_t>(grid.columns), map.values};
  TRY_VOID(blend_heatmap(shown, drawn, diagnose::Colormap::jet, 0.4F));
  answer.explanation.emplace();
  answer.explanation->map = std::move(map.values);
  CHECK(!boost::json::serialize(diagnose::to_json(answer, network.card)).empty());
  return {};
}

// An answer to a photo of a few pixels: every page of code and every table that answering needs.
Result<void> answer_in_small(const diagnose::Network& network, const diagnose::Layer* layer,
                             const exec::Program& program, exec::Session& session, Ledger& ledger) {
  constexpr Size kSize{64, 64};
  constexpr int kQuality = 85;
  const diagnose::Preprocessing& how = network.card.preprocessing;
  const std::array targets{
      Target::exact({static_cast<std::uint32_t>(how.width), static_cast<std::uint32_t>(how.height)},
                    how.filter),
      Target::fit(48)};
  TRY(const Picture drawn, Picture::make(kSize, ledger));
  TRY(const GrowingBytes jpeg, encode_jpeg(drawn, kQuality, ledger));
  const ByteView photo = std::as_bytes(jpeg.bytes());
  TRY(const Header header, read_header(photo));
  TRY(std::vector<Picture> pictures, decode(photo, header, targets, ledger));
  if (const auto input = program.find_input(network.input))
    diagnose::write_input(pictures[0], how, session.input(*input));
  pictures[0] = Picture();
  TRY_VOID(session.forward());
  TRY(const diagnose::Scores scores,
      diagnose::make_scores(output_named(program, session, network.scores), network.kind, 1));
  diagnose::Answer answer;
  answer.predictions = diagnose::rank(scores, 0);
  if (layer != nullptr)
    TRY_VOID(heatmap_of(network, *layer, program, session, pictures[1], answer));
  TRY(const GrowingBytes png, encode_png(pictures[1], ledger));
  return {};
}

}  // namespace

Bytes counting_error() {
  constexpr Bytes kBatch = Bytes{2} * 32 * 4096;
  return std::min<Bytes>(std::thread::hardware_concurrency() * kBatch, Bytes{1} << 20);
}

Before look_around(Bytes base) {
  const ProcessMemory memory = read_process_memory();
  return {base, memory.anon + memory.shared, std::min(above(memory.rss, base), kServerAllowance)};
}

Result<Rehearsal> rehearse(const diagnose::Network& network, const diagnose::Layer* layer,
                           const Before& before, int threads) {
  const std::string target = layer == nullptr ? std::string() : layer->name;
  Rehearsal rehearsal;
  reset_peak_rss();
  {
    TRY(graph::Graph graph, diagnose::program_graph(network, target, true));
    TRY(rehearsal.plan, exec::make_plan(std::move(graph), threads));
  }
  rehearsal.code_asked = rehearsal.plan.code;
  rehearsal.planning = high_water(before);
  reset_peak_rss();
  Ledger ledger(std::numeric_limits<Bytes>::max());
  exec::ProgramOptions options;
  options.threads = threads;
  options.files = network.model.files;
  TRY(graph::Graph graph, diagnose::program_graph(network, target, true));
  TRY(const auto program, exec::Program::load_blank(std::move(graph), options, ledger));
  rehearsal.loading = high_water(before);
  {
    TRY(const auto session, exec::Session::open(program, ledger));
    TRY_VOID(answer_in_small(network, layer, *program, *session, ledger));
  }
  rehearsal.plan = program->plan();
  rehearsal.plan.code = grown(before);
  return rehearsal;
}

}  // namespace dermlens::capacity
