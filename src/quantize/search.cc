#include "quantize/search.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/descriptor.h"
#include "diagnose/preprocess.h"
#include "diagnose/programs.h"
#include "quantize/photos.h"
#include "quantize/rewrite.h"

namespace dermlens::quantize {
namespace {

using Clock = std::chrono::steady_clock;
using Choice = std::vector<std::size_t>;

constexpr std::int64_t kLeastOpset = 13;
constexpr std::size_t kPhotosTried = 48;
constexpr std::size_t kPhotosOfOneGroup = 6;
// Neighbours are tried together where there would be more groups than this.
constexpr std::size_t kMaxGroups = 60;

// A few pictures of the calibration set, evenly taken.
Result<std::vector<Picture>> some_pictures(const std::vector<std::string>& photos,
                                           const diagnose::Preprocessing& how, Ledger& ledger) {
  std::vector<Picture> pictures;
  const std::size_t wanted = std::min(photos.size(), kPhotosTried);
  for (std::size_t i = 0; i < wanted; ++i)
    if (auto picture = read_photo(photos[i * photos.size() / wanted], how, ledger))
      pictures.push_back(std::move(*picture));
  if (pictures.empty()) return fail(Errc::malformed, "no photo could be read (", wanted, ")");
  return pictures;
}

// What a model says of one picture.
struct Saying {
  std::vector<float> raw;  // the values of the scores
  std::vector<double> probabilities;
};

Result<std::vector<Saying>> ask(const std::string& path, std::span<const Picture> pictures,
                                Ledger& ledger) {
  TRY(const diagnose::Network network, diagnose::read_network(path));
  TRY(graph::Graph graph, diagnose::program_graph(network, "", false));
  exec::ProgramOptions options;
  options.files = network.model.files;
  TRY(const auto program, exec::Program::load(std::move(graph), options, ledger));
  TRY(const auto session, exec::Session::open(program, ledger));
  const auto input = program->find_input(network.input);
  const auto output = program->find_output(network.scores);
  if (!input || !output) return fail(Errc::internal, "the program lost its input or output");
  std::vector<Saying> all;
  for (const Picture& picture : pictures) {
    diagnose::write_input(picture, network.card.preprocessing, session->input(*input));
    TRY_VOID(session->forward());
    const std::span<const float> raw = session->output(*output);
    TRY(const diagnose::Scores scores,
        diagnose::make_scores(raw, network.kind, network.card.temperature));
    all.push_back({{raw.begin(), raw.end()}, scores.probabilities});
  }
  return all;
}

struct Outcome {
  double error = 0;   // mean square of the raw scores' change: errors of different layers add up
  double change = 0;  // the largest of a probability
};

Outcome compare(const std::vector<Saying>& a, const std::vector<Saying>& b) {
  Outcome outcome;
  double count = 0;
  for (std::size_t i = 0; i < b.size(); ++i)
    for (std::size_t c = 0; c < a[i].raw.size(); ++c, ++count) {
      const double lost = static_cast<double>(a[i].raw[c]) - static_cast<double>(b[i].raw[c]);
      outcome.error += lost * lost;
      outcome.change =
          std::max(outcome.change, std::abs(a[i].probabilities[c] - b[i].probabilities[c]));
    }
  outcome.error /= std::max(count, 1.0);
  return outcome;
}

class Search {
 public:
  Search(std::string from, std::string to, const IntegerOptions& options, Ledger& ledger)
      : from_(std::move(from)), to_(std::move(to)), options_(options), ledger_(ledger) {}

  Result<IntegerReport> run() {
    TRY_VOID(prepare());
    Choice all(sites_.sites.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    TRY(Choice chosen, choose_clipping(all));
    if (options_.search_seconds > 0 && best_.change > options_.enough) {
      TRY(chosen, leave_out_the_worst(all));
    }
    for (const std::size_t site : all)
      if (!std::ranges::binary_search(chosen, site))
        report_.kept.push_back(sites_.sites[site].name);
    report_.candidates = all.size();
    report_.change = best_.change;
    TRY(const onnx::Edit edit, integer_edit(sites_, chosen, clips_, statistics_));
    TRY_VOID(onnx::rewrite_model(from_, to_, edit));
    return report_;
  }

 private:
  double passed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  Result<void> prepare() {
    TRY(const diagnose::Network network, diagnose::read_network(from_));
    TRY_VOID(check_source(network.model, graph::DType::i8));
    if (network.model.opset < kLeastOpset)
      return fail(Errc::unsupported, "int8 needs opset ", kLeastOpset, " (", from_, " has opset ",
                  network.model.opset, ")");
    TRY(sites_, find_sites(network));
    if (sites_.sites.empty())
      return fail(Errc::unsupported, "no convolution that integers could compute (", from_, ")");
    Choice all(sites_.sites.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    TRY(statistics_, observe(network, activations_of(sites_, all), options_.photos, ledger_,
                             report_.unreadable));
    TRY(pictures_, some_pictures(options_.photos, network.card.preprocessing, ledger_));
    TRY(reference_, ask(from_, pictures_, ledger_));
    return {};
  }

  Result<Outcome> attempt(const Choice& chosen, std::size_t pictures) {
    ++report_.trials;
    TRY(const onnx::Edit edit, integer_edit(sites_, chosen, clips_, statistics_));
    const std::string path = to_ + ".trial." + std::to_string(::getpid());
    TRY_VOID(onnx::rewrite_model(from_, path, edit));
    const Descriptor trial(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    // Without a name it goes with this process, whatever ends that.
    ::unlink(path.c_str());
    TRY(const auto found, ask("/proc/self/fd/" + std::to_string(trial.get()),
                              std::span(pictures_).first(pictures), ledger_));
    return compare(reference_, found);
  }

  void set_clips(double share) {
    for (const auto& [name, statistics] : statistics_)
      clips_[name] =
          share > 0 ? statistics.histogram.quantile(share) : statistics.histogram.best_clip();
  }

  Result<Choice> choose_clipping(const Choice& all) {
    struct Way {
      const char* name;
      double share;
    };
    constexpr std::array<Way, 3> ways{{{"mse", 0}, {"99.99 %", 0.9999}, {"99.999 %", 0.99999}}};
    const Way* best = nullptr;
    for (const Way& way : ways) {
      set_clips(way.share);
      TRY(const Outcome outcome, attempt(all, pictures_.size()));
      if (best && outcome.error >= best_.error) continue;
      best = &way;
      best_ = outcome;
    }
    set_clips(best->share);
    report_.clipping = best->name;
    start_ = Clock::now();
    return all;
  }

  // Neighbours together, by the error they make when only they are rounded for each multiplication
  // they save; the worst first. Those there was no time for come last.
  Result<std::vector<Choice>> by_damage(const Choice& all) {
    const std::size_t pictures = std::min(pictures_.size(), kPhotosOfOneGroup);
    const std::size_t size = (all.size() + kMaxGroups - 1) / kMaxGroups;
    std::vector<std::pair<double, Choice>> groups;
    for (std::size_t begin = 0; begin < all.size(); begin += size) {
      Choice group;
      double work = 1;
      for (std::size_t i = begin; i < std::min(begin + size, all.size()); ++i) {
        group.push_back(all[i]);
        work += sites_.sites[all[i]].work;
      }
      Outcome outcome;
      if (passed() < options_.search_seconds) {
        TRY(outcome, attempt(group, pictures));
      }
      groups.emplace_back(outcome.error / work, std::move(group));
    }
    std::ranges::stable_sort(groups, std::greater<>(), [](const auto& g) { return g.first; });
    std::vector<Choice> order;
    for (auto& [damage, group] : groups) order.push_back(std::move(group));
    return order;
  }

  static Choice without(const Choice& all, std::span<const Choice> groups) {
    Choice rest;
    for (const std::size_t site : all)
      if (std::ranges::none_of(groups, [site](const Choice& group) {
            return std::ranges::find(group, site) != group.end();
          }))
        rest.push_back(site);
    return rest;
  }

  // Leaves out as few of the worst groups as it takes, found by halving.
  Result<Choice> leave_out_the_worst(const Choice& all) {
    TRY(const auto groups, by_damage(all));
    Choice best = all;
    // `low` groups are too few; `high` were enough, or are all but one.
    std::size_t low = 0, high = groups.size() - 1;
    while (high - low > 1 && passed() < 2 * options_.search_seconds) {
      const std::size_t middle = (low + high) / 2;
      const Choice chosen = without(all, std::span(groups).first(middle));
      TRY(const Outcome outcome, attempt(chosen, pictures_.size()));
      const bool is_enough = outcome.change <= options_.enough;
      (is_enough ? high : low) = middle;
      if (!is_enough && outcome.change >= best_.change) continue;
      best_ = outcome;
      best = chosen;
    }
    return best;
  }

  std::string from_, to_;
  const IntegerOptions& options_;
  Ledger& ledger_;
  Sites sites_;
  std::map<std::string, Statistics> statistics_;
  std::map<std::string, double> clips_;
  std::vector<Picture> pictures_;
  std::vector<Saying> reference_;
  Outcome best_;
  IntegerReport report_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

Result<IntegerReport> quantize_to_integers(const std::string& from, const std::string& to,
                                           const IntegerOptions& options, Ledger& ledger) {
  return Search(from, to, options, ledger).run();
}

}  // namespace dermlens::quantize
