#include "server/configure.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace dermlens::server {
namespace {

constexpr Bytes kBase = Bytes{12} << 20;

Options with_shipped_model() {
  Options options;
  options.model = DERMLENS_SOURCE_DIR "/models/skin7-b0.onnx";
  options.sessions = 2;
  return options;
}

std::size_t descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& one : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

TEST(Configure, TheChoiceFitsTheLimit) {
  for (const Bytes limit : {Bytes{56} << 20, Bytes{96} << 20, Bytes{512} << 20}) {
    const auto configuration = configure(with_shipped_model(), {limit, LimitSource::flag}, kBase);
    ASSERT_TRUE(configuration) << configuration.error().message;
    EXPECT_LE(configuration->peak, limit);
    EXPECT_GT(configuration->peak, kBase);
    EXPECT_GE(configuration->sessions, 1);
  }
}

TEST(Configure, TooSmallALimitIsRefusedWithWhatWouldDo) {
  const auto configuration =
      configure(with_shipped_model(), {Bytes{20} << 20, LimitSource::flag}, kBase);
  ASSERT_FALSE(configuration);
  EXPECT_EQ(configuration.error().code, Errc::over_limit);
  const Bytes needed = configuration.error().needed;
  EXPECT_TRUE(configure(with_shipped_model(), {needed + (1 << 20), LimitSource::flag}, kBase));
}

TEST(Configure, AFileThatIsNoModelIsAnErrorAndNotAPlan) {
  const std::string path = testing::TempDir() + "configure_" + std::to_string(::getpid()) + ".onnx";
  std::ofstream(path) << "this is not a model";
  Options options;
  options.model = path;
  EXPECT_FALSE(configure(options, {Bytes{1} << 30, LimitSource::flag}, kBase));
}

TEST(Configure, WithoutAnAnswerInTimeTheLeastIsAskedFor) {
  Options options = with_shipped_model();
  options.sessions = 0;
  const auto configuration =
      configure(options, {Bytes{1} << 30, LimitSource::flag}, kBase, std::chrono::seconds(0));
  ASSERT_TRUE(configuration);
  EXPECT_EQ(configuration->placement, plan::Placement::streamed);
  EXPECT_EQ(configuration->sessions, 1);
}

TEST(Configure, LeavesNoChildAndNoDescriptorBehind) {
  const std::size_t before = descriptors();
  for (const auto patience : {std::chrono::seconds(0), std::chrono::seconds(60)})
    ASSERT_TRUE(
        configure(with_shipped_model(), {Bytes{1} << 30, LimitSource::flag}, kBase, patience));
  EXPECT_EQ(descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Configure, AnotherLimitIsAnsweredFromWhatWasSurveyed) {
  const Options options = with_shipped_model();
  const auto start = configure(options, {Bytes{512} << 20, LimitSource::flag}, kBase);
  ASSERT_TRUE(start);
  for (const Bytes limit : {Bytes{44} << 20, Bytes{60} << 20, Bytes{96} << 20}) {
    const auto asked = configure(options, {limit, LimitSource::flag}, kBase);
    const auto moved = configure_anew(*start, options, {limit, LimitSource::flag});
    ASSERT_TRUE(asked && moved);
    EXPECT_EQ(moved->placement, asked->placement);
    EXPECT_EQ(moved->sessions, asked->sessions);
    EXPECT_LE(moved->reserved, limit);
  }
  const auto nothing = configure_anew(*start, options, {Bytes{20} << 20, LimitSource::flag});
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, Errc::over_limit);
  EXPECT_TRUE(configure_anew(*start, options, {nothing.error().needed, LimitSource::flag}));
}

// The kernel takes pages of a mapped pack back before it kills; nobody does under a limit of ours.
TEST(Configure, UnderAControlGroupResidentFallsToMappedToStreamed) {
  const Options options = with_shipped_model();
  const auto start = configure(options, {Bytes{512} << 20, LimitSource::cgroup}, kBase);
  ASSERT_TRUE(start);
  ASSERT_EQ(start->placement, plan::Placement::resident);
  Bytes left = start->reserved;
  std::vector<plan::Placement> seen;
  for (; seen.empty() || seen.back() != plan::Placement::streamed; left -= Bytes{1} << 20) {
    const auto moved = configure_anew(*start, options, {left, LimitSource::cgroup});
    ASSERT_TRUE(moved) << left;
    EXPECT_LE(moved->reserved, left);
    EXPECT_EQ(moved->let_reclaim, moved->placement == plan::Placement::mapped);
    if (moved->sessions < start->sessions) break;
    if (seen.empty() || seen.back() != moved->placement) seen.push_back(moved->placement);
    if (moved->placement == plan::Placement::mapped) {
      EXPECT_NE(configure_anew(*start, options, {left, LimitSource::flag})->placement,
                plan::Placement::mapped);
    }
  }
  EXPECT_EQ(seen, (std::vector{plan::Placement::resident, plan::Placement::mapped,
                               plan::Placement::streamed}));
}

TEST(Configure, WhatTheOperatorAskedForIsNotOverridden) {
  Options options = with_shipped_model();
  options.placement = plan::Placement::resident;
  const auto start = configure(options, {Bytes{512} << 20, LimitSource::flag}, kBase);
  ASSERT_TRUE(start);
  const auto moved = configure_anew(*start, options, {start->reserved - 1, LimitSource::flag});
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->placement, plan::Placement::resident);
  EXPECT_EQ(moved->sessions, start->sessions - 1);
  EXPECT_FALSE(configure_anew(*start, options, {Bytes{40} << 20, LimitSource::flag}));
}

}  // namespace
}  // namespace dermlens::server
