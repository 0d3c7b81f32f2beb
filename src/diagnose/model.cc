// The request's line: header, price, decode, forward, backward, heatmap, pictures, Answer.
#include "diagnose/model.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <sstream>

#include "diagnose/cam.h"
#include "diagnose/identifier.h"
#include "diagnose/network.h"
#include "diagnose/preprocess.h"
#include "diagnose/programs.h"
#include "diagnose/scores.h"
#include "diagnose/target.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/overlay.h"
#include "memory/process.h"

namespace dermlens::diagnose {
namespace {

constexpr std::uint32_t kLongestShown = 1024;
constexpr int kPhotoQuality = 85;

class Stopwatch {
 public:
  // Milliseconds since the last lap, or since this was made.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double passed = std::chrono::duration<double, std::milli>(now - start_).count();
    start_ = now;
    return passed;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// One of a fixed number of places, given back by scope.
class Seat {
 public:
  static Result<Seat> take(std::atomic<int>& busy, int places) {
    int taken = busy.load();
    do {
      if (taken >= places)
        return fail(Errc::busy, "all sessions are busy (", taken, ", limit ", places, ")");
    } while (!busy.compare_exchange_weak(taken, taken + 1));
    return Seat(busy);
  }
  Seat(Seat&& other) noexcept : busy_(std::exchange(other.busy_, nullptr)) {}
  Seat& operator=(Seat&&) = delete;
  ~Seat() {
    if (busy_) --*busy_;
  }

 private:
  explicit Seat(std::atomic<int>& busy) : busy_(&busy) {}
  std::atomic<int>* busy_;
};

std::string sentence_of_gate(double energy, float threshold) {
  std::ostringstream text;
  text.precision(3);
  text << "the photo is unlike those the model was trained on (energy " << energy << ", threshold "
       << threshold << ")";
  return std::move(text).str();
}

class LoadedModel final : public Model {
 public:
  LoadedModel(Network network, const LoadOptions& options, Ledger& ledger)
      : network_(std::move(network)), options_(options), ledger_(ledger) {}

  Result<void> open() {
    TRY(programs_, Programs::open(network_, options_, ledger_));
    return {};
  }

  const Card& card() const override { return network_.card; }
  const std::vector<Layer>& layers() const override { return network_.layers.layers; }
  const plan::Plan& plan() const override { return programs_->first().plan(); }
  const std::string& pack_path() const override { return programs_->first().pack_path(); }
  bool pack_built() const override { return programs_->first().pack_built(); }
  bool damaged() const override { return network_.model.damaged() || programs_->first().damaged(); }
  int sessions() const override { return options_.sessions; }
  int busy_sessions() const override { return busy_; }

  Result<Answer> answer(ByteView image, const Request& request) override;
  std::vector<RawInput> raw_inputs() const override;
  std::vector<RawInput> raw_outputs() const override;
  Result<std::vector<RawOutput>> infer(std::span<const float> values) override;

 private:
  struct Pictures {
    Picture input;  // in the model's size
    Picture shown;  // to draw on; empty where nothing is drawn
  };

  Result<void> check(const Request& request) const;
  Result<std::string> layer_for(const Request& request) const;
  Result<Pictures> decode_photo(ByteView image, const Request& request, Answer& answer) const;
  Result<void> judge(const Scores& scores, const Request& request, Answer& answer) const;
  Result<void> explain(Lease& lease, const Scores& scores, const Request& request,
                       Answer& answer) const;
  Result<void> render(Pictures& pictures, const Request& request, Answer& answer) const;

  Network network_;
  LoadOptions options_;
  Ledger& ledger_;
  std::atomic<int> busy_ = 0;
  std::unique_ptr<Programs> programs_;  // after the network it refers to
};

Result<void> LoadedModel::check(const Request& request) const {
  if (!(request.alpha >= 0.0F && request.alpha <= 1.0F))
    return fail(Errc::usage, "alpha is out of range (", request.alpha, ", 0 to 1)");
  return {};
}

// The layer whose Program serves the request; empty: any will do.
Result<std::string> LoadedModel::layer_for(const Request& request) const {
  if (!request.explain) return std::string();
  std::string_view wish = request.layer;
  const bool by_name = options_.explain && wish != "auto";
  if (!by_name && !programs_->no_default_layer().empty())
    return fail(Errc::unsupported, programs_->no_default_layer());
  if (const auto value = onnx::find_value(network_.model, wish);
      value && wish != "auto" && wish != "last_conv")
    wish = network_.model.graph.value(*value).name;
  TRY(const Layer* layer, choose_layer(network_.layers, wish));
  return layer->name;
}

Result<LoadedModel::Pictures> LoadedModel::decode_photo(ByteView image, const Request& request,
                                                        Answer& answer) const {
  TRY(const Header header, read_header(image, Limits{options_.max_pixels}));
  const Preprocessing& how = network_.card.preprocessing;
  std::vector<dermlens::Target> targets{dermlens::Target::exact(
      {static_cast<std::uint32_t>(how.width), static_cast<std::uint32_t>(how.height)}, how.filter)};
  const bool draws = (request.explain && request.overlay) || request.photo;
  if (draws) targets.push_back(dermlens::Target::fit(kLongestShown));
  TRY(const DecodeCost cost, decode_cost(header, targets));
  answer.planned_bytes += cost.total();
  answer.photo_width = header.upright().width;
  answer.photo_height = header.upright().height;
  TRY(std::vector<Picture> pictures, decode(image, header, targets, ledger_));
  Pictures result{std::move(pictures[0]), {}};
  if (draws) result.shown = std::move(pictures[1]);
  return result;
}

Result<void> LoadedModel::judge(const Scores& scores, const Request& request,
                                Answer& answer) const {
  answer.predictions = rank(scores, request.top_k);
  if (!network_.card.gate) return {};
  answer.energy = energy(scores);
  answer.known = *answer.energy >= network_.card.gate->threshold;
  if (answer.known) return {};
  std::string sentence = sentence_of_gate(*answer.energy, network_.card.gate->threshold);
  if (request.strict) return fail(Errc::refused, sentence);
  answer.warnings.push_back(std::move(sentence));
  return {};
}

Result<void> LoadedModel::explain(Lease& lease, const Scores& scores, const Request& request,
                                  Answer& answer) const {
  Stopwatch watch;
  const LayerProgram& at = lease.at();
  TRY(const std::size_t class_id, find_class(request.target, network_.card, scores));
  // The map, and what making it needs: a double a position and a channel, twice over.
  TRY(const Bytes numbers, checked_mul(at.grid.positions() * 3 + at.grid.channels * 2, 8));
  TRY(Reservation working, ledger_.reserve(Category::encode, numbers));
  answer.planned_bytes += numbers;
  TRY_VOID(answer.hold.resize(answer.hold.bytes() + at.grid.positions() * sizeof(float)));
  exec::Session& session = lease.session();
  std::span<const float> gradient;
  if (needs_gradient(request.method)) {
    write_seed(scores, request.score, class_id, session.input(at.seed));
    TRY_VOID(session.backward());
    gradient = session.output(at.gradient);
  }
  answer.timing.backward = watch.lap();
  Heatmap map = make_heatmap(request.method, at.grid, session.output(at.activation), gradient);
  Explanation explanation;
  explanation.method = request.method;
  explanation.layer = at.layer;
  explanation.class_id = class_id;
  explanation.score = request.score;
  explanation.rows = at.grid.rows;
  explanation.columns = at.grid.columns;
  explanation.map = std::move(map.values);
  explanation.degenerate = map.degenerate;
  if (map.degenerate)
    answer.warnings.emplace_back("the heatmap says nothing: it is zero everywhere or not finite");
  answer.explanation = std::move(explanation);
  answer.timing.render = watch.lap();
  return {};
}

Result<void> LoadedModel::render(Pictures& pictures, const Request& request, Answer& answer) const {
  Stopwatch watch;
  // The photo first: the heatmap is drawn over its pixels.
  if (request.photo) {
    TRY(GrowingBytes bytes, encode_jpeg(pictures.shown, kPhotoQuality, ledger_));
    bytes.shrink();
    answer.photo_jpeg = EncodedPicture(std::move(bytes));
  }
  if (answer.explanation && request.overlay) {
    Explanation& explanation = *answer.explanation;
    const HeatGrid grid{static_cast<std::uint32_t>(explanation.rows),
                        static_cast<std::uint32_t>(explanation.columns), explanation.map};
    if (!explanation.degenerate) {
      TRY_VOID(blend_heatmap(pictures.shown, grid, request.colormap, request.alpha));
    }
    TRY(GrowingBytes bytes, encode_png(pictures.shown, ledger_));
    bytes.shrink();
    explanation.overlay_png = EncodedPicture(std::move(bytes));
    answer.planned_bytes += explanation.overlay_png.size();
  }
  answer.planned_bytes += answer.photo_jpeg.size();
  answer.timing.render += watch.lap();
  return {};
}

Result<Answer> LoadedModel::answer(ByteView image, const Request& request) {
  TRY_VOID(check(request));
  TRY(const Seat seat, Seat::take(busy_, options_.sessions));
  Answer answer;
  TRY(answer.id, random_identifier());
  answer.warnings = network_.card.warnings;
  answer.planned_bytes = plan().total(plan().placement, 1);
  TRY(const std::string layer, layer_for(request));
  Stopwatch watch;
  TRY(Pictures pictures, decode_photo(image, request, answer));
  answer.timing.decode = watch.lap();

  TRY(Lease lease, programs_->lease(layer));
  exec::Session& session = lease.session();
  watch.lap();
  write_input(pictures.input, network_.card.preprocessing, session.input(lease.at().input));
  pictures.input = Picture();
  answer.timing.decode += watch.lap();
  TRY_VOID(session.forward());
  answer.timing.forward = watch.lap();

  const std::span<const float> raw = session.output(lease.at().scores);
  constexpr Bytes kBytesOfClass = 2 * sizeof(double) + 2 * sizeof(Prediction);
  TRY(answer.hold, ledger_.reserve(Category::results, raw.size() * kBytesOfClass));
  TRY(const Scores scores, make_scores(raw, network_.kind, network_.card.temperature));
  TRY_VOID(judge(scores, request, answer));
  if (request.explain) {
    TRY_VOID(explain(lease, scores, request, answer));
  }
  TRY_VOID(render(pictures, request, answer));
  answer.planned_bytes += answer.hold.bytes();
  answer.peak_bytes = read_process_memory().peak_rss;
  return answer;
}

std::vector<Model::RawInput> LoadedModel::raw_inputs() const {
  const graph::Graph& graph = network_.model.graph;
  const graph::Value& value = graph.value(*graph.find(network_.input));
  return {{value.name, value.type.shape}};
}

std::vector<Model::RawInput> LoadedModel::raw_outputs() const {
  std::vector<RawInput> outputs;
  for (const std::size_t index : programs_->first_layer().model_outputs) {
    const exec::TensorInfo& info = programs_->first().outputs()[index];
    outputs.push_back({info.name, info.type.shape});
  }
  return outputs;
}

Result<std::vector<Model::RawOutput>> LoadedModel::infer(std::span<const float> values) {
  TRY(const Seat seat, Seat::take(busy_, options_.sessions));
  TRY(Lease lease, programs_->lease(""));
  const std::span<float> input = lease.session().input(lease.at().input);
  if (values.size() != input.size())
    return fail(Errc::malformed, "input '", network_.input, "' has ", input.size(),
                " elements, got ", values.size());
  std::copy(values.begin(), values.end(), input.begin());
  TRY_VOID(lease.session().forward());
  std::vector<RawOutput> outputs;
  for (const std::size_t index : lease.at().model_outputs) {
    const std::span<const float> from = lease.session().output(index);
    const exec::TensorInfo& info = programs_->first().outputs()[index];
    TRY(Reservation hold, ledger_.reserve(Category::results, from.size_bytes()));
    outputs.push_back({info.name, info.type.shape, std::vector<float>(from.begin(), from.end()),
                       std::move(hold)});
  }
  return outputs;
}

}  // namespace

Result<std::shared_ptr<Model>> Model::load(const std::string& path, const LoadOptions& options,
                                           Ledger& ledger) {
  if (options.sessions < 1 || options.sessions > 4096)
    return fail(Errc::usage, "the number of sessions is out of range (", options.sessions,
                ", 1 to 4096)");
  TRY(Network network, read_network(path, ledger.available()));
  auto model = std::make_shared<LoadedModel>(std::move(network), options, ledger);
  auto opened = model->open();
  if (!opened && opened.error().code == Errc::unsupported)  // it names a node, but of which model?
    return within(path, std::move(opened).error());
  TRY_VOID(std::move(opened));
  return std::shared_ptr<Model>(std::move(model));
}

Result<ModelPlan> plan_model(const std::string& path) {
  TRY(Network network, read_network(path));
  ModelPlan plans;
  TRY(graph::Graph forward, program_graph(network, "", true));
  auto plan = exec::make_plan(std::move(forward));
  if (!plan) return within(path, std::move(plan).error());
  plans.forward = std::move(*plan);
  if (!network.layers.automatic.empty()) {
    auto graph = program_graph(network, network.layers.automatic, true);
    if (graph) {
      TRY(plans.explain, exec::make_plan(std::move(*graph)));
    } else if (graph.error().code != Errc::unsupported) {
      return tl::make_unexpected(std::move(graph).error());
    }
  }
  plans.card = std::move(network.card);
  return plans;
}

}  // namespace dermlens::diagnose
