#include "diagnose/scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "diagnose/target.h"

namespace dermlens::diagnose {
namespace {

Scores scores_of(std::vector<float> raw, ScoreKind kind, double temperature) {
  auto scores = make_scores(raw, kind, temperature);
  EXPECT_TRUE(scores);
  return std::move(*scores);
}

TEST(Softmax, EqualsItsDefinitionAtAnyTemperature) {
  const Scores scores = scores_of({1, 2, 4}, ScoreKind::logits, 2);
  const double total = std::exp(0.5) + std::exp(1.0) + std::exp(2.0);
  EXPECT_NEAR(scores.probabilities[0], std::exp(0.5) / total, 1e-15);
  EXPECT_NEAR(scores.probabilities[2], std::exp(2.0) / total, 1e-15);
}

TEST(Softmax, HugeLogitsDoNotOverflow) {
  const Scores scores = scores_of({3e38F, -3e38F, 3e38F}, ScoreKind::logits, 1);
  EXPECT_EQ(scores.probabilities[0], 0.5);
  EXPECT_EQ(scores.probabilities[1], 0);
}

TEST(Softmax, ProbabilitiesInsideTheModelAreKeptAtTemperatureOne) {
  const Scores scores = scores_of({0.2F, 0.8F, 0.0F}, ScoreKind::probabilities, 1);
  EXPECT_NEAR(scores.probabilities[0], 0.2F, 1e-7);
  EXPECT_NEAR(scores.probabilities[1], 0.8F, 1e-7);
  EXPECT_NEAR(scores.probabilities[2], 0, 1e-7);
}

TEST(Softmax, TemperatureActsOnTheLogarithmsOfProbabilities) {
  const Scores scores = scores_of({0.2F, 0.8F}, ScoreKind::probabilities, 2);
  const double total = std::sqrt(0.2F) + std::sqrt(0.8F);
  EXPECT_NEAR(scores.probabilities[0], std::sqrt(0.2F) / total, 1e-7);
}

TEST(Softmax, AScoreThatIsNotFiniteIsAnError) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto scores = make_scores(std::vector<float>{0, bad}, ScoreKind::logits, 1);
    ASSERT_FALSE(scores);
    EXPECT_EQ(scores.error().code, Errc::unsupported);
  }
  EXPECT_FALSE(make_scores(std::vector<float>{-0.1F, 1.1F}, ScoreKind::probabilities, 1));
}

TEST(Energy, IsTemperatureTimesLogSumExp) {
  const Scores scores = scores_of({1, 2, 4}, ScoreKind::logits, 2);
  EXPECT_NEAR(energy(scores), 2 * std::log(std::exp(0.5) + std::exp(1.0) + std::exp(2.0)), 1e-12);
}

TEST(Ranking, IsByProbabilityThenById) {
  const Scores scores = scores_of({1, 3, 3, 2}, ScoreKind::logits, 1);
  const auto all = rank(scores, 0);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].class_id, 1U);
  EXPECT_EQ(all[1].class_id, 2U);
  EXPECT_EQ(all[3].class_id, 0U);
  EXPECT_EQ(rank(scores, 2).size(), 2U);
  EXPECT_EQ(rank(scores, 9).size(), 4U);
}

// The score of a class as a function of the model's output, by its definition.
double score_of(const std::vector<float>& raw, ScoreKind kind, double temperature, Score score,
                std::size_t class_id) {
  const Scores scores = scores_of(raw, kind, temperature);
  if (score == Score::probability) return scores.probabilities[class_id];
  return kind == ScoreKind::logits ? scores.raw[class_id] : std::log(scores.raw[class_id]);
}

TEST(Seed, IsTheDerivativeOfTheScore) {
  const std::vector<float> raw{0.25F, 0.5F, 0.125F, 0.125F};
  for (const ScoreKind kind : {ScoreKind::logits, ScoreKind::probabilities})
    for (const Score score : {Score::logit, Score::probability})
      for (const double temperature : {1.0, 1.7}) {
        std::vector<float> seed(raw.size());
        write_seed(scores_of(raw, kind, temperature), score, 1, seed);
        for (std::size_t i = 0; i < raw.size(); ++i) {
          constexpr float kStep = 1.0F / 1024;
          auto up = raw, down = raw;
          up[i] += kStep;
          down[i] -= kStep;
          const double difference = (score_of(up, kind, temperature, score, 1) -
                                     score_of(down, kind, temperature, score, 1)) /
                                    (2 * kStep);
          EXPECT_NEAR(seed[i], difference, 2e-4)
              << to_string(score) << " of output " << i << ", T = " << temperature;
        }
      }
}

TEST(Target, IsTop1AKeyAnIdOrADisplayName) {
  Card card;
  card.labels = {{"Eczema Photos", {{"en", "Eczema"}, {"vi", "Chàm"}}}, {"2", {}}, {"Warts", {}}};
  const Scores scores = scores_of({1, 2, 5}, ScoreKind::logits, 1);
  EXPECT_EQ(find_class({"top1"}, card, scores).value(), 2U);
  EXPECT_EQ(find_class({"Eczema Photos"}, card, scores).value(), 0U);
  EXPECT_EQ(find_class({"Chàm"}, card, scores).value(), 0U);
  EXPECT_EQ(find_class({"0"}, card, scores).value(), 0U);
  EXPECT_EQ(find_class({"2"}, card, scores).value(), 1U) << "a key wins over an id";
  for (const char* bad : {"3", "-1", "", "1x", "eczema", "99999999999999999999999"}) {
    const auto found = find_class({bad}, card, scores);
    ASSERT_FALSE(found) << bad;
    EXPECT_EQ(found.error().code, Errc::usage);
  }
}

}  // namespace
}  // namespace dermlens::diagnose
