#include "evaluate/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dermlens::evaluate {
namespace {

Said said(std::optional<std::size_t> truth, std::vector<double> probabilities,
          std::optional<double> energy = {}) {
  return {truth, std::move(probabilities), energy};
}

TEST(Metrics, CountsByHand) {
  const auto metrics = compute_metrics(
      {said(0, {0.8, 0.2, 0}), said(0, {0.4, 0.6, 0}), said(1, {0.1, 0.9, 0}), said({}, {1, 0, 0})},
      3);
  EXPECT_EQ(metrics.photos, 3u);
  EXPECT_EQ(metrics.unknown, 1u);
  EXPECT_DOUBLE_EQ(metrics.accuracy, 2.0 / 3);
  EXPECT_DOUBLE_EQ(metrics.classes[0].recall, 0.5);
  EXPECT_DOUBLE_EQ(metrics.classes[0].precision, 1);
  EXPECT_DOUBLE_EQ(metrics.classes[1].precision, 0.5);
  EXPECT_NEAR(metrics.macro_f1, (2.0 / 3 + 2.0 / 3) / 2, 1e-12);
  EXPECT_DOUBLE_EQ(metrics.top3, 1);
  EXPECT_EQ(metrics.confusion[0][1], 1u);
  EXPECT_NEAR(metrics.ece, (0.2 + 0.6 + 0.1) / 3, 1e-12);
}

TEST(Metrics, GateRanksPairs) {
  const auto metrics = compute_metrics(
      {said(0, {1, 0}, 3.0), said(0, {1, 0}, 1.0), said({}, {1, 0}, 1.0), said({}, {1, 0}, 0.0)},
      2);
  ASSERT_TRUE(metrics.gate_auroc);
  EXPECT_DOUBLE_EQ(*metrics.gate_auroc, (1 + 1 + 0.5 + 1) / 4.0);
}

TEST(Temperature, RecoversTheOneThatWasAppliedTooMuch) {
  // 1000 answers of odds 3 : 1 that are right three times in four, told with logits doubled.
  const double p = 9.0 / 10;  // softmax of 2 log 3
  std::vector<Said> answers;
  for (int i = 0; i < 1000; ++i) answers.push_back(said(i % 4 == 0 ? 1 : 0, {p, 1 - p}));
  const auto fitted = fit_temperature(answers, 1);
  ASSERT_TRUE(fitted);
  EXPECT_NEAR(*fitted, 2, 1e-3);
}

TEST(Temperature, NeedsAKnownPhoto) {
  const auto fitted = fit_temperature({said({}, {1, 0})}, 1);
  ASSERT_FALSE(fitted);
  EXPECT_EQ(fitted.error().code, Errc::usage);
}

TEST(Gate, KeepsTheShareAskedFor) {
  std::vector<Said> answers;
  for (int i = 0; i < 100; ++i) answers.push_back(said(0, {1, 0}, static_cast<double>(i)));
  const auto threshold = fit_gate(answers, 0.95);
  ASSERT_TRUE(threshold);
  EXPECT_NEAR(*threshold, 5, 1);
}

}  // namespace
}  // namespace dermlens::evaluate
