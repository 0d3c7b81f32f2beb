#include "quantize/calibrate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dermlens::quantize {
namespace {

TEST(Histogram, KnowsTheLargestWhateverTheOrder) {
  Histogram histogram;
  for (const float value : {0.0F, 0.001F, -7.5F, 1.0F, -0.25F}) histogram.add(std::span(&value, 1));
  EXPECT_DOUBLE_EQ(histogram.largest(), 7.5);
  EXPECT_NEAR(histogram.quantile(1), 7.5, 0.01);
}

TEST(Histogram, OfZerosAsksForNoClip) {
  Histogram histogram;
  const std::vector<float> zeros(100, 0.0F);
  histogram.add(zeros);
  EXPECT_EQ(histogram.best_clip(), 0);
}

TEST(Histogram, NumbersThatAreNotFiniteAreLeftOut) {
  Histogram histogram;
  const std::vector<float> values{1, INFINITY, NAN, -INFINITY};
  histogram.add(values);
  EXPECT_DOUBLE_EQ(histogram.largest(), 1);
}

TEST(Histogram, ClipsALoneOutlierAndNothingElse) {
  Histogram even, tailed;
  std::vector<float> values;
  for (int i = 0; i < 100000; ++i) values.push_back(static_cast<float>(i % 1000) / 1000);
  even.add(values);
  EXPECT_NEAR(even.best_clip(), 1, 0.02);
  values.push_back(20);
  tailed.add(values);
  EXPECT_LT(tailed.best_clip(), 15);
  EXPECT_NEAR(tailed.quantile(0.999), 1, 0.02);
}

}  // namespace
}  // namespace dermlens::quantize
