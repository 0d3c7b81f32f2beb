// Laws of work in a fresh process: results and errors come back, deaths are reported.
#include "probe/fresh_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
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

TEST(FreshProcess, DoesNotOutliveItsParent) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    (void)in_fresh_process([&]() -> Result<std::string> {
      (void)!::write(ends[1], "x", 1);
      ::sleep(10);
      (void)!::write(ends[1], "y", 1);
      return std::string();
    });
    ::_exit(0);
  }
  ::close(ends[1]);
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  ::kill(parent, SIGTERM);
  ::waitpid(parent, nullptr, 0);
  // The pipe ends with the last process that holds it.
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);
  ::close(ends[0]);
}

}  // namespace
}  // namespace dermlens
