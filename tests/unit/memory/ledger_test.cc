// Laws of the ledger: the limit holds, scopes give back, failures change nothing.
#include "memory/ledger.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace dermlens {
namespace {

TEST(Ledger, ScopesGiveBackWhatTheyReserved) {
  Ledger ledger(100);
  {
    auto a = ledger.reserve(Category::arena, 60);
    ASSERT_TRUE(a);
    EXPECT_EQ(ledger.reserved(Category::arena), 60U);
    Reservation moved = std::move(*a);
    EXPECT_EQ(ledger.reserved(), 60U);
    ASSERT_TRUE(moved.resize(10));
    EXPECT_EQ(ledger.reserved(), 10U);
  }
  EXPECT_EQ(ledger.reserved(), 0U);
  EXPECT_EQ(ledger.peak(), 60U);
}

TEST(Ledger, RefusalsCarryTheNumbersAndChangeNothing) {
  Ledger ledger(100);
  auto held = ledger.reserve(Category::weights, 80);
  const auto now = ledger.reserve(Category::arena, 30);
  ASSERT_FALSE(now);
  EXPECT_EQ(now.error().code, Errc::no_memory);
  EXPECT_EQ(now.error().needed, 30U);
  EXPECT_EQ(now.error().available, 20U);
  EXPECT_EQ(ledger.reserve(Category::arena, 101).error().code, Errc::over_limit);
  EXPECT_FALSE(held->resize(101));
  EXPECT_EQ(ledger.reserved(), 80U);
  EXPECT_EQ(ledger.refused(), 3U);
}

TEST(Ledger, WhatALoweredLimitRefusesMayFitLater) {
  Ledger ledger(100);
  ledger.set_limit(40);
  EXPECT_EQ(ledger.reserve(Category::decode, 60).error().code, Errc::no_memory);
  EXPECT_EQ(ledger.reserve(Category::decode, 101).error().code, Errc::over_limit);
  ledger.set_limit(200);
  EXPECT_TRUE(ledger.reserve(Category::decode, 150));
  EXPECT_EQ(ledger.reserve(Category::decode, 201).error().code, Errc::over_limit);
}

TEST(Ledger, TheNthReservationFailsOnDemand) {
  Ledger ledger(100);
  ledger.fail_at(1);
  auto first = ledger.reserve(Category::arena, 1);
  EXPECT_TRUE(first);
  EXPECT_FALSE(ledger.reserve(Category::arena, 1));
  EXPECT_TRUE(ledger.reserve(Category::arena, 1));
}

TEST(Ledger, ManyThreadsNeverPassTheLimit) {
  Ledger ledger(1000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&ledger] {
      for (int i = 0; i < 2000; ++i) {
        auto hold = ledger.reserve(Category::decode, 300);
        EXPECT_LE(ledger.reserved(), 1000U);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ledger.reserved(), 0U);
  EXPECT_LE(ledger.peak(), 1000U);
}

}  // namespace
}  // namespace dermlens
