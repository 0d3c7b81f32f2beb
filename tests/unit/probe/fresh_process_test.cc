// Laws of work in a fresh process: results and errors come back, deaths are reported.
#include "probe/fresh_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

namespace dermlens {
namespace {

TEST(FreshProcess, ReturnsWhatTheWorkGave) {
  const int parent = ::getpid();
  const auto text = in_fresh_process([parent]() -> Result<std::string> {
    return std::string(100'000, ::getpid() == parent ? 'p' : 'c');
  });
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, std::string(100'000, 'c'));
}

TEST(FreshProcess, PassesErrorsOn) {
  const auto text = in_fresh_process(
      []() -> Result<std::string> { return fail(Errc::over_limit, "needs ", 7, " B"); });
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::over_limit);
  EXPECT_EQ(text.error().message, "needs 7 B");
}

TEST(FreshProcess, ReportsADeathBySignal) {
  const auto text = in_fresh_process([]() -> Result<std::string> {
    ::raise(SIGKILL);
    return std::string();
  });
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::internal);
}

}  // namespace
}  // namespace dermlens
