// Random lifetimes packed into one arena: what lives at the same time shares no byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "base/checked.h"
#include "plan/plan.h"

namespace dermlens::plan {
namespace {

constexpr Bytes kAlignment = 64;
constexpr std::size_t kSteps = 60;

std::vector<Lifetime> random_lifetimes(std::mt19937& random) {
  std::vector<Lifetime> lifetimes(random() % 80);
  for (Lifetime& lifetime : lifetimes) {
    // Few sizes, so that many are equal; some of no bytes at all.
    const Bytes sizes[] = {0, 1, 63, 64, 65, 4096, 100'000, random() % 1'000'000};
    lifetime.bytes = sizes[random() % std::size(sizes)];
    lifetime.first = random() % kSteps;
    lifetime.last = std::min(kSteps - 1, lifetime.first + random() % 12);
  }
  return lifetimes;
}

bool meet(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

// The most bytes alive at any step: no packing takes less.
Bytes most_alive(const std::vector<Lifetime>& lifetimes) {
  Bytes most = 0;
  for (std::size_t step = 0; step < kSteps; ++step) {
    Bytes alive = 0;
    for (const Lifetime& lifetime : lifetimes)
      if (lifetime.first <= step && step <= lifetime.last)
        alive += align_up(lifetime.bytes, kAlignment);
    most = std::max(most, alive);
  }
  return most;
}

class Packing : public testing::TestWithParam<unsigned> {
 protected:
  std::mt19937 random_{GetParam()};
  std::vector<Lifetime> lifetimes_ = random_lifetimes(random_);
  plan::Packing packing_ = pack_arena(lifetimes_);
};

TEST_P(Packing, LiveValuesNeverShareBytes) {
  for (std::size_t a = 0; a < lifetimes_.size(); ++a)
    for (std::size_t b = a + 1; b < lifetimes_.size(); ++b) {
      if (!meet(lifetimes_[a], lifetimes_[b])) continue;
      if (lifetimes_[a].bytes == 0 || lifetimes_[b].bytes == 0) continue;
      const bool apart = packing_.offsets[a] + lifetimes_[a].bytes <= packing_.offsets[b] ||
                         packing_.offsets[b] + lifetimes_[b].bytes <= packing_.offsets[a];
      ASSERT_TRUE(apart) << a << " and " << b;
    }
}

TEST_P(Packing, EveryValueLiesInsideTheArenaAndIsAligned) {
  for (std::size_t i = 0; i < lifetimes_.size(); ++i) {
    EXPECT_EQ(packing_.offsets[i] % kAlignment, 0U);
    EXPECT_LE(packing_.offsets[i] + lifetimes_[i].bytes, packing_.total);
  }
}

TEST_P(Packing, TheArenaHoldsWhatIsAliveAndNeverMoreThanEverything) {
  Bytes everything = 0;
  for (const Lifetime& lifetime : lifetimes_) everything += align_up(lifetime.bytes, kAlignment);
  EXPECT_GE(packing_.total, most_alive(lifetimes_));
  EXPECT_LE(packing_.total, everything);
}

TEST_P(Packing, IsTheSameForTheSameLifetimes) {
  const plan::Packing again = pack_arena(lifetimes_);
  EXPECT_EQ(again.offsets, packing_.offsets);
  EXPECT_EQ(again.total, packing_.total);
}

INSTANTIATE_TEST_SUITE_P(, Packing, testing::Range(0U, 200U));

// Over many arenas the greedy order wastes little: what it is chosen for.
TEST(Packings, AreCloseToTheLeastPossible) {
  Bytes taken = 0, least = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto lifetimes = random_lifetimes(random);
    taken += pack_arena(lifetimes).total;
    least += most_alive(lifetimes);
  }
  EXPECT_LE(static_cast<double>(taken), 1.1 * static_cast<double>(least));
}

}  // namespace
}  // namespace dermlens::plan
