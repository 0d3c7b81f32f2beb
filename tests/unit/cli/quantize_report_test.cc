// When a narrower model passes.
#include "cli/quantize_report.h"

#include <gtest/gtest.h>

namespace dermlens::cli {
namespace {

QuantizeVerdict at_the_bounds() {
  QuantizeVerdict verdict;
  verdict.change_allowed = 0.10;
  verdict.agreement_wanted = 0.97;
  verdict.all.largest_change = 0.10;
  verdict.all.agreement = 0.97;
  return verdict;
}

TEST(QuantizeVerdicts, PassAtTheirBounds) { EXPECT_TRUE(at_the_bounds().passed()); }

TEST(QuantizeVerdicts, FailPastEitherBound) {
  QuantizeVerdict changed = at_the_bounds();
  changed.all.largest_change = 0.1001;
  EXPECT_FALSE(changed.passed());
  QuantizeVerdict other = at_the_bounds();
  other.all.agreement = 0.9699;
  EXPECT_FALSE(other.passed());
}

}  // namespace
}  // namespace dermlens::cli
