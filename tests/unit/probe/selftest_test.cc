// What the selftest reads and how it decides.
#include "probe/selftest.h"

#include <gtest/gtest.h>

#include "probe/memory_reading.h"
#include "probe/selftest_steps.h"
#include "unit/probe/scripted_server.h"

namespace dermlens::probe {
namespace {

Figures figures(double idle, double peak, bool stable = true, bool failures = false) {
  Figures out;
  out.idle = idle;
  out.peak = peak;
  out.stable = stable;
  out.failed_requests = failures;
  out.measured = true;
  out.growth_measured = true;
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

TEST(Decision, GrowthThatWasNotMeasuredIsNotCreep) {
  Figures cut_short = figures(10, 60, false);
  cut_short.growth_measured = false;
  EXPECT_TRUE(decides(cut_short, "growth not measured: no decision"));
  cut_short.failed_requests = true;
  EXPECT_TRUE(decides(cut_short, "growth not measured, with failures: plan B"));
  cut_short.peak = 510;
  EXPECT_TRUE(decides(cut_short, "plan C (no Grad-CAM) or D (upgrade)"));
}

TEST(Decision, APeakOverTheLimitIsPlanB) {
  Figures over = figures(10, 60);
  over.limit = 59;
  EXPECT_TRUE(decides(over, "over the limit: plan B"));
  over.limit = 60;
  EXPECT_TRUE(decides(over, "done (plan A"));
}

TEST(Decision, WithoutHeatmapsPlanCIsTakenAlready) {
  Figures off = figures(10, 60);
  off.heatmaps = false;
  EXPECT_TRUE(decides(off, "done (plan C, no Grad-CAM;"));
  off.peak = 510;
  EXPECT_TRUE(decides(off, "over 500, plan D (upgrade)"));
}

std::string answer(const char* status, const std::string& body = {},
                   const std::string& header = {}) {
  return "HTTP/1.1 " + std::string(status) + "\r\nConnection: close\r\n" + header +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// What deleting a result comes to where the server says this; empty where nothing is wrong.
std::string deletion(std::vector<std::string> answers) {
  const ScriptedServer server(std::move(answers));
  SelftestPlan plan;
  plan.endpoint = server.endpoint();
  const Photos photos;
  const auto deleted = Selftest(plan, photos).delete_result("a");
  return deleted ? std::string() : deleted.error().message;
}

TEST(DeleteResult, AResultThatHasGivenWayIsGone) {
  EXPECT_EQ(deletion({answer("204 Done")}), "");
  EXPECT_EQ(deletion({answer("404 Gone"), answer("404 Gone")}), "");
}

TEST(DeleteResult, AResultThatStaysIsAFault) {
  EXPECT_EQ(deletion({answer("500 Broken")}), "deleting a result answers 500");
  EXPECT_EQ(deletion({answer("404 Gone"), answer("200 OK", "{}")}),
            "deleting a result answers 404, asking for it 200");
}

TEST(FirstPrediction, NamesHeatmapsThatAreOff) {
  const std::string memory = R"({"memory":{"rss_mb":50},"model_loaded":true,)"
                             R"("gradcam_enabled":false})";
  const ScriptedServer server(
      {answer("200 OK", memory), answer("302 Found", {}, "Location: /result/a/\r\n"),
       answer("200 OK", "page"), answer("200 OK", memory), answer("204 Done")});
  SelftestPlan plan;
  plan.endpoint = server.endpoint();
  const Photos photos{"photo", {}, {}, {}};
  Selftest test(plan, photos);
  ASSERT_TRUE(step_idle(test).has_value());
  const auto outcome = step_first(test);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
  EXPECT_EQ(outcome->fault, "gradcam_enabled is false: heatmaps are switched off (ENABLE_GRADCAM)");
  EXPECT_FALSE(test.figures.failed_requests);
}

TEST(LargePhoto, IsOnlyRefusedForItsSize) {
  const std::string memory = R"({"memory":{"rss_mb":50},"model_loaded":true,)"
                             R"("gradcam_enabled":true})";
  const ScriptedServer server(
      {answer("403 No", R"({"error":"not for you","code":"denied"})"), answer("200 OK", memory)});
  SelftestPlan plan;
  plan.endpoint = server.endpoint();
  const Photos photos;
  Selftest test(plan, photos);
  const auto outcome = step_large_photo(test);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
  EXPECT_EQ(outcome->fault, "not refused for its size, but with 403: not for you");
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
  EXPECT_FALSE(read_answer("[]").has_value());
}

TEST(Answer, HasNoMapWhereHeatmapsAreOff) {
  const std::string bare = R"({"predictions":[{"class_id":0,"probability":1.0}]})";
  EXPECT_FALSE(read_answer(bare).has_value());
  EXPECT_TRUE(read_predictions(bare).has_value());
  EXPECT_FALSE(read_predictions("{}").has_value());
  SelftestPlan plan;
  const Photos photos;
  Selftest test(plan, photos);
  EXPECT_FALSE(test.read(bare).has_value());
  test.figures.heatmaps = false;
  EXPECT_TRUE(test.read(bare).has_value());
  EXPECT_EQ(test.route(), "/api/v1/classify?keep=false");
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
