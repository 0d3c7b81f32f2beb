// From a model's raw scores to calibrated probabilities, the gate's verdict, and the seed that a
// backward pass starts from. Pure arithmetic in double; a score that is not finite is an error,
// never a probability.
#pragma once

#include <span>
#include <vector>

#include "diagnose/types.h"

namespace dermlens::diagnose {

// What the model's output holds.
enum class ScoreKind {
  logits,
  probabilities,  // softmax inside, its input out of reach
};

struct Scores {
  ScoreKind kind = ScoreKind::logits;
  double temperature = 1;
  std::vector<double> raw;            // as the model gives them
  std::vector<double> probabilities;  // softmax(logits / T), or softmax(log(q) / T)
};

// Fails with unsupported where a score is not finite, or a probability negative.
Result<Scores> make_scores(std::span<const float> raw, ScoreKind kind, double temperature);

// T * logsumexp(logits / T).
double energy(const Scores& scores);

// The classes, most probable first (ties: the smaller id first); at most `top_k`, 0 for all.
std::vector<Prediction> rank(const Scores& scores, std::size_t top_k);

// d(score of `class_id`) / d(output), into `seed` of the output's size.
//   logit:        1 at the class; where the output holds probabilities q, of log(q): 1/q.
//   probability:  p_c * (onehot - p) / T; where the output holds q, the same through log(q).
void write_seed(const Scores& scores, Score score, std::size_t class_id, std::span<float> seed);

}  // namespace dermlens::diagnose
