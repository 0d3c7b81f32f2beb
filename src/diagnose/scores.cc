#include "diagnose/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace dermlens::diagnose {
namespace {

// log(q) of a probability that underflowed to zero: finite, so that no infinity spreads.
double safe_log(double q) { return std::log(std::max(q, std::numeric_limits<double>::min())); }

double logit(const Scores& scores, std::size_t i) {
  return scores.kind == ScoreKind::logits ? scores.raw[i] : safe_log(scores.raw[i]);
}

}  // namespace

Result<Scores> make_scores(std::span<const float> raw, ScoreKind kind, double temperature) {
  Scores scores{kind, temperature, {raw.begin(), raw.end()}, std::vector<double>(raw.size())};
  double highest = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (!std::isfinite(raw[i]) || (kind == ScoreKind::probabilities && raw[i] < 0))
      return fail(Errc::unsupported, "the model gave no usable score (", raw[i], " for class ", i,
                  ")");
    highest = std::max(highest, logit(scores, i));
  }
  double total = 0;
  for (std::size_t i = 0; i < raw.size(); ++i)
    total += scores.probabilities[i] = std::exp((logit(scores, i) - highest) / temperature);
  for (double& p : scores.probabilities) p /= total;
  return scores;
}

double energy(const Scores& scores) {
  double highest = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < scores.raw.size(); ++i) highest = std::max(highest, logit(scores, i));
  double total = 0;
  for (std::size_t i = 0; i < scores.raw.size(); ++i)
    total += std::exp((logit(scores, i) - highest) / scores.temperature);
  return highest + scores.temperature * std::log(total);
}

std::vector<Prediction> rank(const Scores& scores, std::size_t top_k) {
  std::vector<Prediction> ranked(scores.probabilities.size());
  for (std::size_t i = 0; i < ranked.size(); ++i) ranked[i] = {i, scores.probabilities[i]};
  std::stable_sort(ranked.begin(), ranked.end(), [](const Prediction& a, const Prediction& b) {
    return a.probability > b.probability;
  });
  if (top_k != 0 && top_k < ranked.size()) ranked.resize(top_k);
  return ranked;
}

void write_seed(const Scores& scores, Score score, std::size_t class_id, std::span<float> seed) {
  const double p_class = scores.probabilities[class_id];
  for (std::size_t i = 0; i < seed.size(); ++i) {
    const double onehot = i == class_id ? 1.0 : 0.0;
    double value = score == Score::logit
                       ? onehot
                       : p_class * (onehot - scores.probabilities[i]) / scores.temperature;
    if (scores.kind == ScoreKind::probabilities)
      value /= std::max(scores.raw[i], static_cast<double>(std::numeric_limits<float>::min()));
    seed[i] = static_cast<float>(value);
  }
}

}  // namespace dermlens::diagnose
