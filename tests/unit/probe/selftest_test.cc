// What the selftest reads and how it decides.
#include "probe/selftest.h"

#include <gtest/gtest.h>

#include "probe/memory_reading.h"
#include "probe/selftest_steps.h"

namespace dermlens::probe {
namespace {

Figures figures(double idle, double peak, bool stable = true, bool failures = false) {
  Figures out;
  out.idle = idle;
  out.peak = peak;
  out.stable = stable;
  out.failed_requests = failures;
  out.measured = true;
  return out;
}

bool decides(const Figures& given, const char* words) {
  return decide(given).find(words) != std::string::npos;
}

TEST(Decision, FollowsTheSeedsMatrix) {
  EXPECT_TRUE(decides(figures(10, 60), "done (plan A"));
  EXPECT_TRUE(decides(figures(170, 490), "plan B"));
  EXPECT_TRUE(decides(figures(10, 60, true, true), "plan B"));
  EXPECT_TRUE(decides(figures(170, 510), "plan C (no Grad-CAM) or D (upgrade)"));
  EXPECT_TRUE(decides(figures(10, 60, false), "look for leaks, restart workers more often"));
  EXPECT_TRUE(decides(figures(200, 300), "look for leaks"));
  EXPECT_TRUE(decides(Figures{}, "no decision"));
}

TEST(MemoryReading, TakesTheSeedsShapeAndOurs) {
  const auto seed =
      parse_memory(R"({"status":"ok","memory":{"rss_mb":480.5,"vms_mb":1,"percent":93.8},)"
                   R"("model_loaded":true,"gradcam_enabled":false})");
  ASSERT_TRUE(seed.has_value());
  EXPECT_EQ(seed->peak, 480.5);
  EXPECT_TRUE(seed->model_loaded);
  EXPECT_FALSE(seed->gradcam_enabled);
  const auto ours =
      parse_memory(R"({"memory":{"rss_mb":50,"peak_rss_mb":60.5,"anon_mb":30},"model_loaded":true,)"
                   R"("gradcam_enabled":true,"limit_mb":512,"ledger":{"results":2097152}})");
  ASSERT_TRUE(ours.has_value());
  EXPECT_EQ(ours->peak, 60.5);
  EXPECT_EQ(ours->held(), 28);
  EXPECT_EQ(ours->limit, 512);
}

TEST(MemoryReading, AnythingElseIsMalformed) {
  for (const char* text : {"", "[]", "null", "{}", "<html>", R"({"memory":1})",
                           R"({"memory":{"rss_mb":"a"},"model_loaded":true,"gradcam_enabled":1})"})
    EXPECT_FALSE(parse_memory(text).has_value()) << text;
}

TEST(Answer, IsWholeOrRefused) {
  const std::string start = R"({"predictions":[{"class_id":0,"probability":0.25},)"
                            R"({"class_id":1,"probability":0.75}],"explanations":[)";
  const auto whole = read_answer(start + R"({"grid":[1,2],"map":[0.0,1.0]}]})");
  ASSERT_TRUE(whole.has_value()) << whole.error().message;
  EXPECT_EQ(whole->at(1), 0.75);
  for (const char* rest :
       {"]}", R"({"grid":[1,2],"map":[0.0]}]})", R"({"grid":[1],"map":[0]}]})",
        R"({"grid":["a",2],"map":[0,1]}]})", R"({"grid":[-1,-2],"map":[0,1]}]})", "7]}", "{}]}"})
    EXPECT_FALSE(read_answer(start + rest).has_value()) << rest;
  EXPECT_FALSE(read_answer(R"({"predictions":[{"class_id":0,"probability":0.5}]})").has_value());
}

TEST(Answer, DiffersBeyondATenThousandth) {
  EXPECT_EQ(difference({{0, 0.5}}, {{0, 0.50005}}), "");
  EXPECT_NE(difference({{0, 0.5}}, {{0, 0.5002}}), "");
  EXPECT_NE(difference({{0, 0.5}}, {{1, 0.5}}), "");
  EXPECT_NE(difference({{0, 0.5}}, {}), "");
}

TEST(Thousands, AreGroupedByThree) {
  EXPECT_EQ(thousands(7), "7");
  EXPECT_EQ(thousands(2000), "2,000");
  EXPECT_EQ(thousands(1234567), "1,234,567");
}

}  // namespace
}  // namespace dermlens::probe
