#include "evaluate/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace dermlens::evaluate {
namespace {

constexpr std::size_t kBins = 15;
constexpr std::size_t kTop = 3;

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::size_t top_of(const std::vector<double>& p) {
  return static_cast<std::size_t>(std::ranges::max_element(p) - p.begin());
}

bool in_top3(const Said& said) {
  const double own = said.probabilities[*said.class_id];
  const auto above = std::ranges::count_if(said.probabilities, [&](double p) { return p > own; });
  return static_cast<std::size_t>(above) < kTop;
}

double calibration_error(const std::vector<Said>& answers) {
  std::array<double, kBins> confidence{}, right{};
  double total = 0;
  for (const Said& said : answers) {
    if (!said.class_id) continue;
    const std::size_t top = top_of(said.probabilities);
    const double p = said.probabilities[top];
    const auto bin = std::min(static_cast<std::size_t>(p * kBins), kBins - 1);
    confidence[bin] += p;
    right[bin] += top == *said.class_id ? 1 : 0;
    ++total;
  }
  double error = 0;
  for (std::size_t i = 0; i < kBins; ++i) error += std::abs(confidence[i] - right[i]);
  return share(error, total);
}

// The share of (known, unknown) pairs in which the known photo has more energy; ties count half.
std::optional<double> auroc(const std::vector<Said>& answers) {
  std::vector<double> known, unknown;
  for (const Said& said : answers)
    if (said.energy) (said.class_id ? known : unknown).push_back(*said.energy);
  if (known.empty() || unknown.empty()) return std::nullopt;
  std::ranges::sort(unknown);
  double won = 0;
  for (const double energy : known) {
    const auto [low, high] = std::equal_range(unknown.begin(), unknown.end(), energy);
    won += static_cast<double>(low - unknown.begin()) + 0.5 * static_cast<double>(high - low);
  }
  return won / (static_cast<double>(known.size()) * static_cast<double>(unknown.size()));
}

// Negative log likelihood of the truth when the logits are divided by factor * temperature.
double loss(const std::vector<Said>& answers, double factor) {
  double sum = 0;
  for (const Said& said : answers) {
    if (!said.class_id) continue;
    double total = 0;
    const double largest = *std::ranges::max_element(said.probabilities);
    const auto scaled = [&](double p) {
      return std::log(std::max(p, 1e-300) / std::max(largest, 1e-300)) / factor;
    };
    for (const double p : said.probabilities) total += std::exp(scaled(p));
    sum += std::log(total) - scaled(said.probabilities[*said.class_id]);
  }
  return sum;
}

}  // namespace

Metrics compute_metrics(const std::vector<Said>& answers, std::size_t classes) {
  Metrics out;
  out.classes.resize(classes);
  out.confusion.assign(classes, std::vector<std::size_t>(classes, 0));
  double right = 0, near = 0;
  for (const Said& said : answers) {
    if (!said.class_id) {
      ++out.unknown;
      continue;
    }
    ++out.photos;
    ++out.confusion[*said.class_id][top_of(said.probabilities)];
    near += in_top3(said) ? 1 : 0;
  }
  std::size_t occurring = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    double said = 0, true_ones = 0;
    for (std::size_t i = 0; i < classes; ++i) {
      said += static_cast<double>(out.confusion[i][c]);
      true_ones += static_cast<double>(out.confusion[c][i]);
    }
    const auto hits = static_cast<double>(out.confusion[c][c]);
    ClassMetrics& one = out.classes[c];
    one.photos = static_cast<std::size_t>(true_ones);
    one.precision = share(hits, said);
    one.recall = share(hits, true_ones);
    one.f1 = share(2 * hits, said + true_ones);
    right += hits;
    if (one.photos > 0) {
      ++occurring;
      out.macro_f1 += one.f1;
    }
  }
  out.macro_f1 = share(out.macro_f1, static_cast<double>(occurring));
  out.accuracy = share(right, static_cast<double>(out.photos));
  out.top3 = share(near, static_cast<double>(out.photos));
  out.ece = calibration_error(answers);
  out.gate_auroc = auroc(answers);
  return out;
}

Result<double> fit_temperature(const std::vector<Said>& answers, double temperature) {
  if (std::ranges::none_of(answers, [](const Said& said) { return said.class_id.has_value(); }))
    return fail(Errc::usage, "no photo of a known class to fit a temperature on");
  // The loss is convex in 1/T, so it has one minimum in log T: golden sections.
  double low = std::log(0.05 / temperature), high = std::log(20 / temperature);
  constexpr double kGolden = 0.6180339887498949;
  for (int i = 0; i < 80; ++i) {
    const double a = high - kGolden * (high - low), b = low + kGolden * (high - low);
    if (loss(answers, std::exp(a)) < loss(answers, std::exp(b)))
      high = b;
    else
      low = a;
  }
  return temperature * std::exp((low + high) / 2);
}

Result<double> fit_gate(const std::vector<Said>& answers, double keep) {
  std::vector<double> energies;
  for (const Said& said : answers)
    if (said.class_id && said.energy) energies.push_back(*said.energy);
  if (energies.empty())
    return fail(Errc::usage, "no photo of a known class has an energy to fit a gate on");
  std::ranges::sort(energies);
  const auto below = static_cast<std::size_t>((1 - keep) * static_cast<double>(energies.size()));
  return energies[std::min(below, energies.size() - 1)];
}

}  // namespace dermlens::evaluate
