#include "quantize/verify.h"

#include <gtest/gtest.h>

namespace dermlens::quantize {
namespace {

Measurement measurement() {
  Measurement out;
  out.file_bytes = 123;
  out.peak_bytes = 456;
  out.latency_ms = 7.5;
  out.probabilities = {{0.7, 0.3}, {}, {0.2, 0.8}};
  out.maps = {{0, 0.5F, 1, 0.25F}, {}, {}};
  return out;
}

TEST(Verify, AModelAgreesWithItself) {
  const auto same = compare(measurement(), measurement());
  ASSERT_TRUE(same);
  EXPECT_EQ(same->photos, 2u);
  EXPECT_EQ(same->agreement, 1);
  EXPECT_EQ(same->largest_change, 0);
  EXPECT_EQ(same->heatmaps, 1u);
  EXPECT_NEAR(same->heatmap_correlation, 1, 1e-12);
}

TEST(Verify, TheLargestChangeAndTheTopClassAreSeen) {
  Measurement other = measurement();
  other.probabilities[0] = {0.4, 0.6};
  other.maps[0] = {1, 0.5F, 0, 0.75F};
  const auto seen = compare(measurement(), other);
  ASSERT_TRUE(seen);
  EXPECT_DOUBLE_EQ(seen->agreement, 0.5);
  EXPECT_NEAR(seen->largest_change, 0.3, 1e-12);
  EXPECT_NEAR(seen->heatmap_correlation, -1, 1e-6);
}

TEST(Verify, WhatIsNoLongerAnsweredCountsAgainstTheNewModel) {
  Measurement other = measurement();
  other.probabilities[2].clear();
  const auto seen = compare(measurement(), other);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->photos, 2u);
  EXPECT_EQ(seen->unanswered, 1u);
  EXPECT_DOUBLE_EQ(seen->agreement, 0.5);
  EXPECT_EQ(seen->largest_change, 1);
}

TEST(Verify, AHeatmapThatIsLostCorrelatesWithNothing) {
  for (const std::vector<float>& lost : {std::vector<float>{}, {0.5F, 0.5F, 0.5F, 0.5F}, {1, 0}}) {
    Measurement other = measurement();
    other.maps[0] = lost;
    const auto seen = compare(measurement(), other);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->heatmaps, 1u);
    EXPECT_EQ(seen->heatmap_correlation, 0);
  }
  // What the reference never had cannot be lost.
  Measurement reference = measurement();
  reference.maps[0] = {0.5F, 0.5F, 0.5F, 0.5F};
  EXPECT_EQ(compare(reference, measurement())->heatmaps, 0u);
}

TEST(Verify, OtherClassesOrNoPhotoAreRefused) {
  Measurement other = measurement();
  other.probabilities[0] = {0.4, 0.3, 0.3};
  EXPECT_FALSE(compare(measurement(), other));
  EXPECT_FALSE(compare({}, {}));
}

TEST(Verify, TextCarriesEverything) {
  const auto back = from_text(to_text(measurement()));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->probabilities, measurement().probabilities);
  EXPECT_EQ(back->maps, measurement().maps);
  EXPECT_EQ(back->file_bytes, 123u);
  EXPECT_FALSE(from_text("{"));
  EXPECT_FALSE(from_text("[]"));
}

}  // namespace
}  // namespace dermlens::quantize
