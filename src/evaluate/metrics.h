// How good a classifier's answers are: plain arithmetic on what it said and what was true.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/result.h"

namespace dermlens::evaluate {

struct Said {
  std::optional<std::size_t> class_id;  // the truth; empty: of no known class
  std::vector<double> probabilities;
  std::optional<double> energy;
};

struct ClassMetrics {
  std::size_t photos = 0;
  double precision = 0, recall = 0, f1 = 0;  // 0 where nothing can be said
};

struct Metrics {
  std::size_t photos = 0;   // of known classes
  std::size_t unknown = 0;  // of no known class
  double accuracy = 0, top3 = 0;
  double macro_f1 = 0;  // over the classes that occur
  double ece = 0;       // expected calibration error, 15 bins of equal width
  std::vector<ClassMetrics> classes;
  std::vector<std::vector<std::size_t>> confusion;  // [true][said]
  // How well the energy tells known from unknown photos; empty without both, or without a gate.
  std::optional<double> gate_auroc;
};

// `classes`: how many the model knows; every answer has as many probabilities.
Metrics compute_metrics(const std::vector<Said>& answers, std::size_t classes);

// The temperature (0.05 to 20) that makes the known photos' true classes most likely, given answers
// at `temperature`. Fails with usage where there is no known photo.
Result<double> fit_temperature(const std::vector<Said>& answers, double temperature);

// The threshold that `keep` (0.95) of the known photos reach. Fails with usage where no known photo
// has an energy.
Result<double> fit_gate(const std::vector<Said>& answers, double keep);

}  // namespace dermlens::evaluate
