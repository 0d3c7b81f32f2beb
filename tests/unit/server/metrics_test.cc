#include "server/metrics.h"

#include <gtest/gtest.h>

namespace dermlens::server {
namespace {

TEST(Histogram, BucketsAreCumulativeAndEndInInf) {
  Histogram histogram;
  for (const double seconds : {0.0005, 0.02, 0.02, 100.0}) histogram.observe(seconds);
  std::string out;
  histogram.write(out, "h", "a=\"b\"");
  EXPECT_NE(out.find("h_bucket{a=\"b\",le=\"0.001\"} 1\n"), std::string::npos);
  EXPECT_NE(out.find("h_bucket{a=\"b\",le=\"0.025\"} 3\n"), std::string::npos);
  EXPECT_NE(out.find("h_bucket{a=\"b\",le=\"30\"} 3\n"), std::string::npos);
  EXPECT_NE(out.find("h_bucket{a=\"b\",le=\"+Inf\"} 4\n"), std::string::npos);
  EXPECT_NE(out.find("h_count{a=\"b\"} 4\n"), std::string::npos);
}

TEST(Metrics, LabelsAreEscaped) { EXPECT_EQ(metric_label("a", "x\"y\\z\n"), R"(a="x\"y\\z\n")"); }

TEST(Metrics, ByteCountsAreExact) {
  std::string out;
  write_sample(out, "m", {}, 123456789012345.0);
  EXPECT_EQ(out, "m 123456789012345\n");
}

TEST(Metrics, EveryFamilyHasItsHeadOnce) {
  Metrics metrics;
  metrics.request("/a", 200, 0.1);
  metrics.request("/a", 404, 0.1);
  metrics.explained("gradcam", 0.1);
  metrics.explained("hirescam", 0.1);
  std::string out;
  metrics.write(out);
  std::size_t heads = 0;
  for (std::size_t at = out.find("# TYPE dermlens_explain"); at != std::string::npos;
       at = out.find("# TYPE dermlens_explain", at + 1))
    ++heads;
  EXPECT_EQ(heads, 1U);
  EXPECT_NE(out.find("dermlens_requests_total{route=\"/a\",code=\"404\"} 1\n"), std::string::npos);
}

}  // namespace
}  // namespace dermlens::server
