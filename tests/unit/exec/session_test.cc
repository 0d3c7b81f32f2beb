// What a planned arena may not change: any answer.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/checked.h"
#include "kernels/lowered.h"
#include "unit/exec/fixture.h"
#include "unit/graph/build.h"

namespace dermlens::exec {
namespace {

// Every buffer has bytes of its own: nothing is ever overwritten by another.
plan::Layout apart(const kernels::Lowered& lowered) {
  plan::Layout layout = plan::make_layout(lowered);
  Bytes end = 0;
  for (std::size_t i = 0; i < lowered.buffers.size(); ++i) {
    layout.arena.offsets[i] = end;
    end += align_up(lowered.buffers[i].bytes, 64);
  }
  layout.arena.total = end;
  layout.plan.arena = align_up(end, 4096);
  return layout;
}

ProgramOptions placed(plan::Placement placement) {
  ProgramOptions options;
  options.placement = placement;
  return options;
}

class Sessions : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto network = read_network(GetParam());
    ASSERT_TRUE(network) << network.error().message;
    ends_ = network->ends;
    ProgramOptions options = placed(plan::Placement::resident);
    options.files = network->files;
    auto program = Program::load(std::move(network->graph), options, ledger_);
    ASSERT_TRUE(program) << program.error().message;
    program_ = *program;
    auto session = Session::open(program_, ledger_);
    ASSERT_TRUE(session) << session.error().message;
    session_ = std::move(*session);
  }
  Outcome outcome(unsigned seed = 1, std::size_t of = 0) {
    auto result = run(*session_, *program_, ends_, seed, of);
    EXPECT_TRUE(result) << result.error().message;
    return result.value_or(Outcome{});
  }

  Ledger ledger_{kPlenty};
  Ends ends_;
  std::shared_ptr<const Program> program_;
  std::unique_ptr<Session> session_;
};

TEST_P(Sessions, APlannedRunEqualsARunWithBytesOfItsOwnForEveryValue) {
  const auto alone = run_fresh(GetParam(), placed(plan::Placement::resident), ledger_, apart);
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_EQ(outcome(), *alone);
}

TEST_P(Sessions, NothingOfAnEarlierRunShowsInALaterOne) {
  const Outcome fresh = outcome();
  // Poison: whatever is read before it is written would spread.
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::ranges::fill(session_->input(0), nan);
  std::ranges::fill(session_->input(*program_->find_input(ends_.seed)), nan);
  ASSERT_TRUE(session_->forward());
  ASSERT_TRUE(session_->backward());
  EXPECT_EQ(outcome(), fresh);
}

TEST_P(Sessions, BackwardAgainWithAnotherSeedIsAsAfterAFreshForward) {
  const Outcome other = outcome(1, 1);
  outcome(1, 0);
  const std::span<float> seed = session_->input(*program_->find_input(ends_.seed));
  std::ranges::fill(seed, 0.0F);
  seed[1 % seed.size()] = 1;
  ASSERT_TRUE(session_->backward());
  const auto gradient = session_->output(*program_->find_output(ends_.gradient));
  EXPECT_EQ(std::vector<float>(gradient.begin(), gradient.end()), other.gradient);
}

TEST_P(Sessions, WhatForwardGaveOutlivesBackward) {
  const Outcome before = outcome();
  const auto scores = session_->output(*program_->find_output(ends_.output));
  const auto activation = session_->output(*program_->find_output(ends_.activation));
  EXPECT_EQ(std::vector<float>(scores.begin(), scores.end()), before.scores);
  EXPECT_EQ(std::vector<float>(activation.begin(), activation.end()), before.activation);
}

TEST_P(Sessions, SessionsOfOneProgramDoNotShareTheirArenas) {
  auto second = Session::open(program_, ledger_);
  ASSERT_TRUE(second);
  const Outcome first = outcome();
  ASSERT_TRUE(run(**second, *program_, ends_, 7, 1));
  const auto scores = session_->output(*program_->find_output(ends_.output));
  EXPECT_EQ(std::vector<float>(scores.begin(), scores.end()), first.scores);
}

TEST_P(Sessions, EveryPlacementGivesTheSameBits) {
  std::string folder = testing::TempDir() + "placementsXXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const Outcome resident = outcome();
  for (const plan::Placement placement : {plan::Placement::mapped, plan::Placement::streamed}) {
    ProgramOptions options = placed(placement);
    options.cache_dir = folder;
    const auto other = run_fresh(GetParam(), options, ledger_);
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_EQ(*other, resident) << plan::to_string(placement);
  }
  std::filesystem::remove_all(folder);
}

TEST_P(Sessions, TheLedgerHoldsThePlanAndEverythingIsGivenBack) {
  const plan::Plan& plan = program_->plan();
  EXPECT_EQ(ledger_.reserved(), plan.total(plan::Placement::resident, 1));
  session_.reset();
  EXPECT_EQ(ledger_.reserved(), plan.shared(plan::Placement::resident));
  program_.reset();
  EXPECT_EQ(ledger_.reserved(), 0U);
}

TEST_P(Sessions, StreamedWeightsAreBookedWhileTheyRunAndNoLonger) {
  auto network = read_network(GetParam());
  ASSERT_TRUE(network);
  ProgramOptions options = placed(plan::Placement::streamed);
  options.files = network->files;
  const auto program = Program::load(std::move(network->graph), options, ledger_);
  ASSERT_TRUE(program) << program.error().message;
  const plan::Plan& plan = (*program)->plan();
  const Bytes before = ledger_.reserved();
  const auto session = Session::open(*program, ledger_);
  ASSERT_TRUE(session);
  const Bytes idle = before + plan.idle_session();
  EXPECT_EQ(ledger_.reserved(), idle);
  ledger_.set_limit(idle + plan.window);
  EXPECT_TRUE(run(**session, **program, network->ends, 1, 0));
  EXPECT_EQ(ledger_.reserved(), idle);
  if (plan.window == 0) return;
  ledger_.set_limit(idle + plan.window - 1);
  const auto refused = (*session)->forward();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::no_memory);
  EXPECT_EQ(ledger_.reserved(), idle);
}

INSTANTIATE_TEST_SUITE_P(, Sessions, testing::ValuesIn(fixture_names()),
                         [](const auto& one) { return one.param; });

TEST(BlankPrograms, RunWithoutAnyWeights) {
  Ledger ledger(kPlenty);
  auto network = read_network("mbconv");
  ASSERT_TRUE(network);
  ProgramOptions options;
  options.files = network->files;
  const auto program = Program::load_blank(std::move(network->graph), options, ledger);
  ASSERT_TRUE(program) << program.error().message;
  const auto session = Session::open(*program, ledger);
  ASSERT_TRUE(session);
  EXPECT_TRUE(run(**session, **program, network->ends, 1, 0));
  EXPECT_EQ(ledger.reserved(Category::weights), 0U);
}

// As if kernels took no code at all.
plan::Layout without_code(const kernels::Lowered& lowered) {
  plan::Layout layout = plan::make_layout(lowered);
  layout.plan.code = 0;
  return layout;
}

TEST(Programs, WeightsAreStreamedWhereTheCodeIsMoreThanWasEstimated) {
  using namespace graph::testing;
  std::mt19937 random(5);
  graph::Graph graph;
  graph::ValueId x = input(graph, "image", {1, 64, 4, 4});
  for (const std::int64_t channels : {64, 96, 128, 192}) x = conv(graph, x, channels, 3, random);
  graph.add_output(x);
  std::string folder = testing::TempDir() + "codeXXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ProgramOptions options;
  const auto load = [&](Ledger& ledger) {
    return Program::load(graph, options, ledger, without_code);
  };
  Ledger large(kPlenty);
  const plan::Plan plan = must(load(large))->plan();
  ASSERT_EQ(plan.placement, plan::Placement::resident);
  const Bytes session = plan.per_session(plan::Placement::resident);
  ASSERT_GT(plan.code, 3 * session);
  Ledger tight(plan.total(plan::Placement::resident, 1) - plan.code / 2 - session / 2);
  // With a pack and without: building one needs room, too.
  for (const std::string& cache : {folder, std::string()}) {
    options.cache_dir = cache;
    must(load(large));
    const auto program = load(tight);
    ASSERT_TRUE(program) << program.error().message;
    EXPECT_EQ((*program)->plan().placement, plan::Placement::streamed);
    EXPECT_TRUE(Session::open(*program, tight));
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dermlens::exec
