#include "diagnose/cam.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/npy.h"

namespace dermlens::diagnose {
namespace {

constexpr Method kMethods[] = {Method::gradcam,  Method::gradcam_plus_plus, Method::hirescam,
                               Method::xgradcam, Method::layercam,          Method::eigencam};

std::vector<float> golden(const std::string& name) {
  auto array = read_npy(DERMLENS_SOURCE_DIR "/tests/unit/diagnose/goldens/" + name + ".npy");
  EXPECT_TRUE(array) << (array ? "" : array.error().message);
  return array ? array->to_floats() : std::vector<float>();
}

class CamAgainstPytorch : public testing::TestWithParam<Method> {};

TEST_P(CamAgainstPytorch, GridEqualsTheLibrarys) {
  const Heatmap map = make_heatmap(GetParam(), {6, 5, 4}, golden("activation"), golden("gradient"));
  const std::vector<float> expected = golden(std::string(to_string(GetParam())));
  ASSERT_EQ(map.values.size(), expected.size());
  EXPECT_FALSE(map.degenerate);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(map.values[i], expected[i], 2e-6);
}
INSTANTIATE_TEST_SUITE_P(Methods, CamAgainstPytorch, testing::ValuesIn(kMethods));

// Two channels of two positions: A = {1, 2}, {3, 0}; G = {1, -1}, {2, 4}.
const std::vector<float> kActivation{1, 2, 3, 0};
const std::vector<float> kGradient{1, -1, 2, 4};

TEST(GradCam, WeighsEachChannelByItsMeanGradient) {
  // Weights 0 and 3: the map is {9, 0}.
  const Heatmap map = make_heatmap(Method::gradcam, {2, 1, 2}, kActivation, kGradient);
  EXPECT_EQ(map.values, (std::vector<float>{1, 0}));
}

TEST(HiResCam, MultipliesElementByElement) {
  // {1 + 6, -2 + 0} becomes {1, 0}.
  const Heatmap map = make_heatmap(Method::hirescam, {2, 1, 2}, kActivation, kGradient);
  EXPECT_EQ(map.values, (std::vector<float>{1, 0}));
}

TEST(LayerCam, CountsPositiveGradientsOnly) {
  const std::vector<float> activation{2, 2};
  const std::vector<float> gradient{0.5F, 1};
  const Heatmap map = make_heatmap(Method::layercam, {1, 1, 2}, activation, gradient);
  EXPECT_EQ(map.values, (std::vector<float>{0.5F, 1}));
}

TEST(EigenCam, ReadsNoGradient) {
  EXPECT_FALSE(needs_gradient(Method::eigencam));
  const std::vector<float> activation{0, 0, 0, 4, 0, 0, 0, 2};
  const Heatmap map = make_heatmap(Method::eigencam, {2, 2, 2}, activation, {});
  EXPECT_EQ(map.values, (std::vector<float>{0, 0, 0, 1}));
}

class EveryMethod : public testing::TestWithParam<Method> {};

TEST_P(EveryMethod, ZeroActivationIsDegenerateAndZero) {
  const std::vector<float> zero(12, 0.0F);
  const Heatmap map = make_heatmap(GetParam(), {3, 2, 2}, zero, zero);
  EXPECT_TRUE(map.degenerate);
  EXPECT_EQ(map.values, std::vector<float>(4, 0.0F));
}

TEST_P(EveryMethod, WhatIsNotFiniteIsDegenerateAndZero) {
  std::vector<float> activation(12, 1.0F);
  activation[5] = std::numeric_limits<float>::quiet_NaN();
  activation[6] = 2;
  const std::vector<float> gradient(12, 0.5F);
  const Heatmap map = make_heatmap(GetParam(), {3, 2, 2}, activation, gradient);
  EXPECT_TRUE(map.degenerate);
  EXPECT_EQ(map.values, std::vector<float>(4, 0.0F));
}

TEST_P(EveryMethod, ValuesLieBetweenZeroAndOneAndReachOne) {
  const Heatmap map = make_heatmap(GetParam(), {6, 5, 4}, golden("activation"), golden("gradient"));
  for (const float value : map.values) {
    EXPECT_GE(value, 0.0F);
    EXPECT_LE(value, 1.0F);
  }
  EXPECT_EQ(*std::max_element(map.values.begin(), map.values.end()), 1.0F);
}
INSTANTIATE_TEST_SUITE_P(Methods, EveryMethod, testing::ValuesIn(kMethods));

TEST(GradCam, OnlyNegativeContributionsAreDegenerate) {
  const std::vector<float> activation{1, 2};
  const std::vector<float> gradient{-1, -1};
  EXPECT_TRUE(make_heatmap(Method::gradcam, {1, 1, 2}, activation, gradient).degenerate);
}

}  // namespace
}  // namespace dermlens::diagnose
