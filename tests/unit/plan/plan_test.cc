// Sums of a plan, the choice of a placement, and arenas small enough to check by eye.
#include "plan/plan.h"

#include <gtest/gtest.h>

#include "kernels/lowered.h"

namespace dermlens::plan {
namespace {

Plan sample() {
  Plan plan;
  plan.weights = 1000;
  plan.window = 50;
  plan.small = 10;
  plan.arena = 200;
  plan.scratch = 20;
  plan.descriptors = 5;
  plan.code = 100;
  return plan;
}

TEST(Plan, StreamedSessionsPayForTheirWindowAndSharedWeightsCostNothing) {
  EXPECT_EQ(sample().shared(Placement::resident), 1110U);
  EXPECT_EQ(sample().shared(Placement::mapped), 1110U);
  EXPECT_EQ(sample().shared(Placement::streamed), 110U);
  EXPECT_EQ(sample().per_session(Placement::resident), 225U);
  EXPECT_EQ(sample().per_session(Placement::streamed), 275U);
  EXPECT_EQ(sample().total(Placement::streamed, 3), 110U + 3 * 275U);
}

kernels::Weight weight(std::int64_t elements, dnnl::memory::data_type from,
                       dnnl::memory::data_type to) {
  using Tag = dnnl::memory::format_tag;
  const kernels::Desc target({elements}, to, Tag::a);
  return {0, kernels::Desc({elements}, from, Tag::a), target, target.get_size(), false, {}};
}

TEST(Plan, BuildingTakesTheLargestSourceAndTheLargestTargetOfDifferentWeights) {
  using Type = dnnl::memory::data_type;
  kernels::Lowered lowered;
  lowered.weights = {weight(100'000, Type::f32, Type::bf16), weight(250'000, Type::s8, Type::f32),
                     weight(1000, Type::f32, Type::f32)};
  EXPECT_EQ(make_layout(lowered).plan.building, 400'000U + 1'000'000U);
}

TEST(Placements, TheFastestThatFitsIsChosen) {
  EXPECT_EQ(*choose_placement(sample(), Placement::automatic, 1, 1335, 5000), Placement::resident);
  EXPECT_EQ(*choose_placement(sample(), Placement::automatic, 1, 1334, 5000), Placement::streamed);
  EXPECT_EQ(*choose_placement(sample(), Placement::mapped, 1, 1335, 5000), Placement::mapped);
}

TEST(Placements, TooLittleIsRefusedWithTheNumberThatWouldDo) {
  const auto refused = choose_placement(sample(), Placement::automatic, 2, 600, 600);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::over_limit);
  EXPECT_EQ(refused.error().needed, sample().total(Placement::streamed, 2));
  EXPECT_EQ(refused.error().available, 600U);
  EXPECT_TRUE(choose_placement(sample(), Placement::automatic, 2, refused.error().needed, 600));
}

TEST(Placements, WhatWouldFitAnEmptyServerIsRefusedForNowOnly) {
  const Bytes needed = sample().total(Placement::streamed, 1);
  const auto refused = [&](Bytes available, Bytes most) {
    return choose_placement(sample(), Placement::automatic, 1, available, most).error().code;
  };
  EXPECT_EQ(refused(needed - 1, needed), Errc::no_memory);
  EXPECT_EQ(refused(needed - 1, needed - 1), Errc::over_limit);
}

TEST(Placements, AWishIsKeptOrRefusedNeverReplaced) {
  const auto refused = choose_placement(sample(), Placement::resident, 1, 1000, 1000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().needed, sample().total(Placement::resident, 1));
}

TEST(Placements, NamesAreReadAsTheyAreWritten) {
  for (const Placement placement :
       {Placement::automatic, Placement::resident, Placement::mapped, Placement::streamed})
    EXPECT_EQ(*parse_placement(to_string(placement)), placement);
  EXPECT_EQ(parse_placement("fast").error().code, Errc::usage);
  EXPECT_EQ(parse_placement("").error().code, Errc::usage);
}

TEST(Arena, ValuesThatNeverMeetShareBytes) {
  const Packing packing = pack_arena({{128, 0, 1}, {128, 2, 3}, {64, 4, 4}});
  EXPECT_EQ(packing.total, 128U);
}

TEST(Arena, AValueThatEndsWhereAnotherBeginsMeetsIt) {
  const Packing packing = pack_arena({{128, 0, 2}, {128, 2, 3}});
  EXPECT_EQ(packing.total, 256U);
}

TEST(Arena, ASmallValueFillsTheGapThatLargeOnesLeave) {
  // The second ends early; the third fits where it was.
  const Packing packing = pack_arena({{256, 0, 9}, {128, 0, 3}, {64, 4, 9}});
  EXPECT_EQ(packing.total, 384U);
  EXPECT_EQ(packing.offsets[2], 256U);
}

TEST(Arena, NothingTakesNothing) { EXPECT_EQ(pack_arena({}).total, 0U); }

}  // namespace
}  // namespace dermlens::plan
