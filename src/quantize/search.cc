#include "quantize/search.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>

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
constexpr std::size_t kGroup = 4;

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

// The model's probabilities for each picture.
Result<std::vector<std::vector<double>>> probabilities(const std::string& path,
                                                       std::span<const Picture> pictures,
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
  std::vector<std::vector<double>> all;
  for (const Picture& picture : pictures) {
    diagnose::write_input(picture, network.card.preprocessing, session->input(*input));
    TRY_VOID(session->forward());
    TRY(const diagnose::Scores scores,
        diagnose::make_scores(session->output(*output), network.kind, network.card.temperature));
    all.push_back(scores.probabilities);
  }
  return all;
}

struct Outcome {
  double error = 0;   // root mean square over pictures and classes
  double change = 0;  // the largest
};

Outcome compare(const std::vector<std::vector<double>>& a,
                const std::vector<std::vector<double>>& b) {
  Outcome outcome;
  double count = 0;
  for (std::size_t i = 0; i < b.size(); ++i)
    for (std::size_t c = 0; c < a[i].size(); ++c, ++count) {
      const double lost = std::abs(a[i][c] - b[i][c]);
      outcome.error += lost * lost;
      outcome.change = std::max(outcome.change, lost);
    }
  outcome.error = std::sqrt(outcome.error / std::max(count, 1.0));
  return outcome;
}

class Search {
 public:
  Search(std::string from, std::string to, const IntegerOptions& options, Ledger& ledger)
      : from_(std::move(from)), to_(std::move(to)), options_(options), ledger_(ledger) {}
  ~Search() { std::remove(trial_path().c_str()); }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

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
  std::string trial_path() const { return to_ + ".trial"; }
  double passed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  Result<void> prepare() {
    TRY(const diagnose::Network network, diagnose::read_network(from_));
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
    TRY(reference_, probabilities(from_, pictures_, ledger_));
    return {};
  }

  Result<Outcome> attempt(const Choice& chosen, std::size_t pictures) {
    ++report_.trials;
    TRY(const onnx::Edit edit, integer_edit(sites_, chosen, clips_, statistics_));
    TRY_VOID(onnx::rewrite_model(from_, trial_path(), edit));
    TRY(const auto found,
        probabilities(trial_path(), std::span(pictures_).first(pictures), ledger_));
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

  // Neighbours together, by the error they make when only they are rounded; the worst first. Those
  // there was no time for come last.
  Result<std::vector<Choice>> by_damage(const Choice& all) {
    const std::size_t pictures = std::min(pictures_.size(), kPhotosOfOneGroup);
    std::vector<std::pair<double, Choice>> groups;
    for (std::size_t end = all.size(); end > 0; end -= std::min(end, kGroup)) {
      const Choice group(all.begin() + static_cast<std::ptrdiff_t>(end - std::min(end, kGroup)),
                         all.begin() + static_cast<std::ptrdiff_t>(end));
      Outcome outcome;
      if (passed() < options_.search_seconds) {
        TRY(outcome, attempt(group, pictures));
      }
      groups.emplace_back(outcome.error, group);
    }
    std::ranges::stable_sort(groups, std::greater<>(), [](const auto& g) { return g.first; });
    std::vector<Choice> order;
    for (auto& [error, group] : groups) order.push_back(std::move(group));
    return order;
  }

  static Choice without(const Choice& all, const Choice& left_out) {
    Choice rest;
    for (const std::size_t site : all)
      if (std::ranges::find(left_out, site) == left_out.end()) rest.push_back(site);
    return rest;
  }

  // Leaves out groups until it is enough, then takes back what was not needed.
  Result<Choice> leave_out_the_worst(const Choice& all) {
    TRY(const auto groups, by_damage(all));
    Choice left_out, best;
    for (const Choice& group : groups) {
      if (best_.change <= options_.enough || passed() > 2 * options_.search_seconds) break;
      left_out.insert(left_out.end(), group.begin(), group.end());
      if (left_out.size() == all.size()) break;
      TRY(const Outcome outcome, attempt(without(all, left_out), pictures_.size()));
      if (outcome.change >= best_.change) continue;
      best_ = outcome;
      best = left_out;
    }
    for (const std::size_t site : Choice(best.rbegin(), best.rend())) {
      if (passed() > 2 * options_.search_seconds) break;
      const Choice fewer = without(best, {site});
      TRY(const Outcome outcome, attempt(without(all, fewer), pictures_.size()));
      if (outcome.change > std::max(options_.enough, best_.change)) continue;
      best_ = outcome;
      best = fewer;
    }
    return without(all, best);
  }

  std::string from_, to_;
  const IntegerOptions& options_;
  Ledger& ledger_;
  Sites sites_;
  std::map<std::string, Statistics> statistics_;
  std::map<std::string, double> clips_;
  std::vector<Picture> pictures_;
  std::vector<std::vector<double>> reference_;
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
