// The n-th reservation fails, for every n: an error comes back, nothing leaks, and the next try
// works.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "unit/exec/fixture.h"

namespace dermlens::exec {
namespace {

constexpr int kMostReservations = 100;

class Faults : public testing::TestWithParam<plan::Placement> {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "faultsXXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    options_.placement = GetParam();
    options_.cache_dir = folder_;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  ProgramOptions options_;
  Ledger ledger_{kPlenty};
};

TEST_P(Faults, EveryReservationThatFailsIsAnErrorThatLeavesNothingBehind) {
  const auto right = run_fresh("mbconv", options_, ledger_);
  ASSERT_TRUE(right) << right.error().message;
  ASSERT_EQ(ledger_.reserved(), 0U);
  for (const bool pack_is_there : {true, false}) {
    int failures = 0;
    for (int n = 0; n < kMostReservations; ++n) {
      if (!pack_is_there) {
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directory(folder_);
      }
      const std::uint64_t refused = ledger_.refused();
      ledger_.fail_at(n);
      const auto outcome = run_fresh("mbconv", options_, ledger_);
      EXPECT_EQ(ledger_.reserved(), 0U) << "after reservation " << n;
      if (outcome) {
        EXPECT_EQ(*outcome, *right);
      }
      if (ledger_.refused() == refused) break;  // there was no n-th one
      ASSERT_FALSE(outcome) << n;
      EXPECT_EQ(outcome.error().code, Errc::no_memory) << outcome.error().message;
      ++failures;
    }
    ledger_.fail_at(-1);
    EXPECT_GE(failures, 4) << "weights, code, arena and scratch reserve at least once each";
    EXPECT_LT(failures, kMostReservations);
    const auto again = run_fresh("mbconv", options_, ledger_);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*again, *right);
  }
}

TEST_P(Faults, ALimitThatIsTooLowByOneByteRefusesAndSaysHowMuchWouldDo) {
  auto network = read_network("mbconv");
  ASSERT_TRUE(network);
  const auto plan = make_plan(network->graph);
  ASSERT_TRUE(plan);
  const Bytes needed = plan->total(GetParam(), 1);
  Ledger low(needed - 1);
  const auto refused = run_fresh("mbconv", options_, low);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::over_limit);
  EXPECT_EQ(refused.error().needed, needed);
  EXPECT_EQ(low.reserved(), 0U);
}

INSTANTIATE_TEST_SUITE_P(, Faults,
                         testing::Values(plan::Placement::resident, plan::Placement::mapped,
                                         plan::Placement::streamed),
                         [](const auto& one) { return std::string(plan::to_string(one.param)); });

}  // namespace
}  // namespace dermlens::exec
