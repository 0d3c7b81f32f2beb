#include "server/results.h"

#include <gtest/gtest.h>

#include <thread>

#include "diagnose/identifier.h"

namespace dermlens::server {
namespace {

StoredResult result(char digit) {
  StoredResult made;
  made.id = std::string(32, digit);
  made.json = "{}";
  return made;
}

TEST(Results, AreFoundUntilTheyExpire) {
  Ledger ledger(1 << 20);
  Results results(ledger, std::chrono::seconds(0), 1 << 20);
  ASSERT_TRUE(results.put(result('a'), "png", "jpeg"));
  EXPECT_EQ(results.find(std::string(32, 'a')), nullptr);
  EXPECT_GT(ledger.reserved(Category::results), 0U);
  results.expire();
  EXPECT_EQ(ledger.reserved(), 0U);
}

TEST(Results, TheOldestGoFirstWhenRoomIsShort) {
  Ledger ledger(1 << 20);
  Results results(ledger, std::chrono::hours(1), 10'000);
  for (char digit = 'a'; digit <= 'f'; ++digit)
    ASSERT_TRUE(results.put(result(digit), std::string(2000, 'x'), {}));
  EXPECT_EQ(results.find(std::string(32, 'a')), nullptr);
  EXPECT_NE(results.find(std::string(32, 'f')), nullptr);
  EXPECT_LE(ledger.reserved(Category::results), 10'000U);
}

TEST(Results, TheyGiveWayWhenTheLedgerIsFull) {
  Ledger ledger(5'000);
  Results results(ledger, std::chrono::hours(1), 1 << 20);
  ASSERT_TRUE(results.put(result('a'), std::string(3000, 'x'), {}));
  ASSERT_TRUE(results.put(result('b'), std::string(3000, 'x'), {}));
  EXPECT_EQ(results.count(), 1U);
  EXPECT_FALSE(results.put(result('c'), std::string(9000, 'x'), {}));
}

TEST(Results, ASmallerBoundDropsTheOldestAtOnce) {
  Ledger ledger(1 << 20);
  Results results(ledger, std::chrono::hours(1), 1 << 20);
  for (char digit = 'a'; digit <= 'd'; ++digit)
    ASSERT_TRUE(results.put(result(digit), std::string(3000, 'x'), {}));
  results.set_most(10'000);
  EXPECT_EQ(results.count(), 2U);
  EXPECT_NE(results.find(std::string(32, 'd')), nullptr);
  EXPECT_LE(ledger.reserved(Category::results), results.most());
  results.set_most(0);
  EXPECT_EQ(ledger.reserved(), 0U);
  EXPECT_FALSE(results.put(result('e'), {}, {}));
}

TEST(Results, WhatWasMadeBeforeASecondGoesAtOnce) {
  Ledger ledger(1 << 20);
  Results results(ledger, std::chrono::hours(1), 1 << 20);
  for (char digit = 'a'; digit <= 'd'; ++digit) {
    StoredResult made = result(digit);
    made.created = std::chrono::system_clock::time_point(std::chrono::seconds('d' - digit));
    ASSERT_TRUE(results.put(std::move(made), "png", {}));
  }
  results.erase_before(2);
  EXPECT_EQ(results.find(std::string(32, 'c')), nullptr);
  EXPECT_EQ(results.find(std::string(32, 'd')), nullptr);
  EXPECT_NE(results.find(std::string(32, 'b')), nullptr);
  results.erase_before(100);
  EXPECT_EQ(results.count(), 0U);
  EXPECT_EQ(ledger.reserved(), 0U);
}

TEST(Results, BytesStayReservedWhileSomebodyReads) {
  Ledger ledger(1 << 20);
  Results results(ledger, std::chrono::hours(1), 1 << 20);
  ASSERT_TRUE(results.put(result('a'), std::string(3000, 'x'), {}));
  auto reader = results.find(std::string(32, 'a'));
  EXPECT_TRUE(results.erase(std::string(32, 'a')));
  EXPECT_FALSE(results.erase(std::string(32, 'a')));
  EXPECT_GT(ledger.reserved(), 0U);
  reader.reset();
  EXPECT_EQ(ledger.reserved(), 0U);
}

TEST(Ids, AreOfTheRightFormAndDiffer) {
  const std::string id = diagnose::random_identifier().value();
  EXPECT_TRUE(is_result_id(id));
  EXPECT_NE(id, diagnose::random_identifier().value());
  for (const std::string& text : {std::string(), std::string(31, 'a'), std::string(33, 'a'),
                                  std::string(32, 'G'), std::string(32, 'A'), "../" + id})
    EXPECT_FALSE(is_result_id(text)) << text;
}

}  // namespace
}  // namespace dermlens::server
