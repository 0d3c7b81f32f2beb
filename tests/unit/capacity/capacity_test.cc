// What a survey adds up to, and what may be concluded from it, on the shipped model.
#include "capacity/capacity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "memory/process.h"

namespace dermlens::capacity {
namespace {

const char* const kModel = DERMLENS_SOURCE_DIR "/models/skin7-b0.onnx";

Capacity survey_under(Bytes limit) {
  const Bytes base = read_process_memory().rss;
  auto found = survey(kModel, {limit, LimitSource::flag}, base, {});
  EXPECT_TRUE(found) << found.error().message;
  return found.value_or(Capacity{});
}

// Surveyed once: it runs the model.
const Capacity& at_512_mb() {
  static const Capacity one = survey_under(Bytes{512} << 20);
  return one;
}

// The same under another limit.
Capacity under(Bytes limit) {
  Capacity capacity = at_512_mb();
  capacity.limit.bytes = limit;
  return capacity;
}

Bytes sum(const ByCategory& bytes) { return std::accumulate(bytes.begin(), bytes.end(), Bytes{0}); }

const Way& way(bool heatmaps, Placement placement) {
  for (const Way& one : at_512_mb().ways)
    if (one.heatmaps == heatmaps && one.placement == placement) return one;
  throw std::logic_error("no such way");
}

class Surveys : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) GTEST_SKIP() << "the shipped model is not there";
  }
};

TEST_F(Surveys, CoverEveryPlacementWithAndWithoutHeatmaps) {
  ASSERT_EQ(at_512_mb().ways.size(), 6U);
  for (const bool heatmaps : {true, false})
    for (const Placement placement : {Placement::resident, Placement::mapped, Placement::streamed})
      EXPECT_GT(way(heatmaps, placement).most_sessions(Bytes{512} << 20), 0U);
}

TEST_F(Surveys, AddUp) {
  for (const Way& one : at_512_mb().ways) {
    EXPECT_EQ(one.reserved(0), sum(one.shared));
    EXPECT_EQ(one.reserved(5) - one.reserved(2), 3 * one.session_peak);
    EXPECT_GE(one.needed(1), one.peak(1));
    EXPECT_GE(one.needed(1), one.building);
    EXPECT_GE(one.building, one.loading);
    // Categories' own maxima need not come together; memory never exceeds what is reserved.
    EXPECT_LE(one.session_peak, sum(one.session));
    const std::uint64_t most = one.most_sessions(Bytes{512} << 20);
    EXPECT_LE(one.needed(most), Bytes{512} << 20);
    EXPECT_GT(one.needed(most + 1), Bytes{512} << 20);
    EXPECT_EQ(one.most_sessions(one.needed(3)), 3U);
    EXPECT_EQ(one.most_sessions(one.needed(1) - 1), 0U);
  }
}

// What is granted is hardly more than what is used: else a limit near the peak would refuse.
TEST_F(Surveys, ReserveWithin4MegabytesOfThePeakHoweverManyRequestsThereAre) {
  for (const Way& one : at_512_mb().ways)
    for (std::uint64_t n = 1; n <= 64; n *= 2)
      EXPECT_LE(std::max(one.reserved(n), one.reserved_at_load(n)), one.peak(n) + (Bytes{4} << 20))
          << to_string(one.placement) << ", heatmaps " << one.heatmaps << ", " << n << " at once";
}

TEST_F(Surveys, MeasureBaseAndCode) {
  for (const Way& one : at_512_mb().ways) {
    EXPECT_EQ(one.shared[static_cast<std::size_t>(Category::base)], at_512_mb().base);
    EXPECT_GT(one.plan.code, Bytes{1} << 20);
    EXPECT_LT(one.plan.code, Bytes{64} << 20);
  }
}

TEST_F(Surveys, HeatmapsAndResidentWeightsCostWhatTheyCost) {
  EXPECT_GT(way(true, Placement::resident).session_peak,
            way(false, Placement::resident).session_peak);
  EXPECT_EQ(way(true, Placement::resident).shared, way(true, Placement::mapped).shared);
  const Way& streamed = way(true, Placement::streamed);
  EXPECT_EQ(way(true, Placement::resident).reserved(0) - streamed.reserved(0),
            streamed.plan.weights);
}

TEST_F(Surveys, HoldTwentySessionsWithHeatmapsIn512Megabytes) {
  EXPECT_GE(way(true, Placement::resident).most_sessions(Bytes{512} << 20), 20U);
}

TEST_F(Surveys, ChooseTheFastestPlacementThatFits) {
  const Capacity& roomy = at_512_mb();
  EXPECT_EQ(roomy.ways[choose(roomy, true, Placement::automatic, 2)->way].placement,
            Placement::resident);
  const Bytes of_streamed = way(true, Placement::streamed).needed(2);
  const Capacity narrow = under(of_streamed);
  const auto choice = choose(narrow, true, Placement::automatic, 2);
  ASSERT_TRUE(choice);
  EXPECT_EQ(narrow.ways[choice->way].placement, Placement::streamed);
  EXPECT_EQ(choice->sessions, 2U);
  EXPECT_EQ(choose(under(of_streamed - 1), true, Placement::automatic, 2)->sessions, 1U);
}

TEST_F(Surveys, RefuseALimitBelowTheSmallestWithTheNumberThatWouldDo) {
  const Bytes least = at_512_mb().least;
  Bytes smallest = least;
  for (const Way& one : at_512_mb().ways) smallest = std::min(smallest, one.needed(1));
  // Readings differ a little: what is named would do for who is measured again.
  EXPECT_GT(least, smallest);
  EXPECT_LE(least, smallest + (Bytes{1} << 20));
  const auto refused = choose(under(smallest - 1), false, Placement::automatic, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::over_limit);
  EXPECT_EQ(refused.error().needed, least);
  EXPECT_TRUE(choose(under(least), false, Placement::automatic, 1));
}

TEST_F(Surveys, RecommendOneRequestACoreAndSaySo) {
  const Capacity& capacity = at_512_mb();
  ASSERT_TRUE(capacity.recommended);
  const std::uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  EXPECT_EQ(capacity.recommended->sessions,
            std::min(cores, way(true, Placement::resident).most_sessions(Bytes{512} << 20)));
  EXPECT_NE(capacity.sentence.find("resident weights, heatmaps on"), std::string::npos)
      << capacity.sentence;
}

TEST_F(Surveys, PutTheSeedsPlansBesideOurs) {
  struct Row {
    const char *name, *seed_mb;
    bool heatmaps;
    Placement placement;
  };
  // Alone, the model answers their narrower weights (B, 2C) with streamed ones.
  constexpr auto kResident = Placement::resident, kStreamed = Placement::streamed;
  const std::array<Row, 8> expected{{{"A", "486, 510", true, kResident},
                                     {"B", "360, 410", true, kStreamed},
                                     {"C", "436", false, kResident},
                                     {"D", "", true, kResident},
                                     {"2A", "486", true, kResident},
                                     {"2B", "436", false, kResident},
                                     {"2C", "360, 410", true, kStreamed},
                                     {"2D", "470", true, kResident}}};
  const auto rows = compare_with_seed(std::span(&at_512_mb(), 1));
  ASSERT_EQ(rows.size(), expected.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].name, expected[i].name);
    EXPECT_EQ(rows[i].seed_mb, expected[i].seed_mb) << rows[i].name;
    ASSERT_EQ(rows[i].model, 0U);
    ASSERT_LT(rows[i].choice.way, at_512_mb().ways.size());
    const Way& ours = at_512_mb().ways[rows[i].choice.way];
    EXPECT_EQ(ours.heatmaps, expected[i].heatmaps) << rows[i].name;
    EXPECT_EQ(ours.placement, expected[i].placement) << rows[i].name;
    EXPECT_LT(ours.peak(1), Bytes{360} << 20) << "less than the least that they hoped for";
  }
}

TEST_F(Surveys, SayWhichOfTheSeedsPlansDoNotFit) {
  const Capacity tight = under(way(true, Placement::streamed).needed(1));
  for (const Comparison& row : compare_with_seed(std::span(&tight, 1))) {
    if (row.name == "D") continue;  // of another host
    const bool fits = tight.ways[row.choice.way].needed(1) <= tight.limit.bytes;
    EXPECT_EQ(row.remark.find("does not fit") == std::string::npos, fits) << row.name;
    EXPECT_EQ(row.choice.sessions, 1U) << "their figures are of one request";
  }
}

TEST_F(Surveys, NameTheLeastOfThePlacementThatIsWished) {
  Assumptions assumptions;
  assumptions.weights = Placement::mapped;
  const auto found =
      survey(at_512_mb().path, {Bytes{1} << 20, LimitSource::flag}, at_512_mb().base, assumptions);
  ASSERT_TRUE(found);
  const auto refused = choose(*found, false, Placement::mapped, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(found->least, refused.error().needed);
  EXPECT_NE(found->sentence.find("mapped"), std::string::npos) << found->sentence;
}

TEST_F(Surveys, SayWhichOfTheSeedsPlansApplies) {
  const auto plan_of = [](const Capacity& one) { return applying_plan(std::span(&one, 1)).plan; };
  EXPECT_EQ(plan_of(at_512_mb()), "A");
  // Who is surveyed again is measured again.
  constexpr Bytes kClearly = Bytes{2} << 20;
  EXPECT_EQ(plan_of(survey_under(way(true, Placement::streamed).needed(1) + kClearly)), "A");
  EXPECT_EQ(plan_of(survey_under(way(false, Placement::streamed).needed(1) + kClearly)), "C");
  const Capacity nothing = survey_under(way(false, Placement::streamed).needed(1) - kClearly);
  EXPECT_EQ(plan_of(nothing), "D");
  EXPECT_EQ(applying_plan(std::span(&nothing, 1)).reason, nothing.sentence);
  Capacity narrow = at_512_mb();
  narrow.computed = "int8";
  const auto sibling = applying_plan(std::array{nothing, narrow});
  EXPECT_EQ(sibling.plan, "B");
  EXPECT_NE(sibling.reason.find("int8"), std::string::npos) << sibling.reason;
}

TEST_F(Surveys, OfALimitThatHoldsNoHeatmapSayWhatHoldsAnswersWithout) {
  const Bytes with = way(true, Placement::streamed).needed(1);
  const auto refused = choose(under(with - 1), true, Placement::automatic, 1);
  ASSERT_FALSE(refused);
  EXPECT_GT(refused.error().needed, with);
  EXPECT_NE(refused.error().message.find("without heatmaps (ENABLE_GRADCAM=false)"),
            std::string::npos)
      << refused.error().message;
  EXPECT_TRUE(choose(under(with - 1), false, Placement::automatic, 1));
}

TEST_F(Surveys, AreADocument) {
  const boost::json::object document = to_json(std::span(&at_512_mb(), 1));
  EXPECT_EQ(document.at("applies").at("plan"), "A");
  for (const auto& one : document.at("configurations").as_array()) {
    const auto& rows = one.at("by_sessions").as_array();
    EXPECT_EQ(rows.size(), one.at("max_sessions").to_number<std::size_t>());
    const auto& last = rows.back();
    EXPECT_EQ(last.at("sessions").to_number<std::size_t>(), rows.size());
    EXPECT_EQ(last.at("bytes").at("arena").to_number<Bytes>(),
              rows.size() * one.at("session_bytes").at("arena").to_number<Bytes>());
    EXPECT_EQ(last.at("bytes").at("weights"), one.at("shared_bytes").at("weights"));
  }
  EXPECT_EQ(document.at("configurations").as_array().size(), 6U);
  EXPECT_EQ(document.at("seed").as_array().size(), 8U);
  EXPECT_EQ(document.at("measured"), boost::json::value({"base", "code"}));
}

TEST_F(Surveys, OfSeveralPrecisionsRecommendTheOneThatServesMost) {
  // The same model with a tenth of its weights: what quantizing would come to.
  Capacity narrow = at_512_mb();
  for (Way& one : narrow.ways) one.plan.weights /= 10;
  const Bytes tight = way(true, Placement::streamed).needed(1) - 1;
  const std::array both{under(tight), narrow};
  EXPECT_EQ(best_of(std::array{at_512_mb(), narrow}), 0U) << "the first of equals";
  std::array neither{at_512_mb(), narrow};
  for (Capacity& one : neither) one.recommended.reset();
  neither[1].least -= 1;
  EXPECT_EQ(best_of(neither), 1U) << "nothing fits: what needs least is named";
  for (const Comparison& row : compare_with_seed(both))
    EXPECT_EQ(row.model, row.name == "B" || row.name == "2C" ? 1U : 0U) << row.name;
  Capacity half = at_512_mb();
  half.stored = "bf16";
  narrow.stored = "int8";
  for (Way& one : narrow.ways) one.shared[static_cast<std::size_t>(Category::weights)] /= 4;
  for (const Comparison& row : compare_with_seed(std::array{at_512_mb(), narrow, half})) {
    const std::size_t expected = row.name == "B" ? 1 : row.name == "2C" ? 2 : 0;
    EXPECT_EQ(row.model, expected) << row.name << ": the smallest, the one of 16 bits";
  }
  const boost::json::object document = to_json(both);
  EXPECT_EQ(document.at("plans").as_array().size(), 2U);
  EXPECT_EQ(document.at("seed").as_array().size(), 8U);
}

TEST(SurveysOfNothing, SayWhatIsMissing) {
  const auto missing = survey("/nowhere/model.onnx", {Bytes{1} << 30, LimitSource::host}, 0, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
}

}  // namespace
}  // namespace dermlens::capacity
