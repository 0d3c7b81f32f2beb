// One coroutine a client; they share the count of what is left to ask.
#include "probe/swarm.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <memory>

#include "probe/channel.h"

namespace dermlens::probe {

namespace asio = boost::asio;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
using Clock = std::chrono::steady_clock;

struct Shared {
  const SwarmPlan& plan;
  SwarmReport report;
  Clock::time_point end;
  std::uint64_t begun = 0;
  std::uint64_t most_wrong = 0;

  bool more() {
    if (begun >= plan.requests || report.wrong >= most_wrong) return false;
    if (Clock::now() < end) return true;
    report.budget_reached = true;
    return false;
  }
  void blame(std::string what) {
    if (report.wrong++ == 0) report.first_wrong = std::move(what);
  }
};

// Retry-After in seconds, no longer than `kLongest`; zero where the answer is not a postponement.
std::chrono::milliseconds postponement(const Reply& reply) {
  constexpr int kLongest = 5;
  if (reply.status != 503) return {};
  const std::string_view text = reply.header("retry-after");
  int seconds = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), seconds).ec != std::errc()) return {};
  return std::chrono::seconds(std::clamp(seconds, 1, kLongest));
}

asio::awaitable<void> ask_on(std::shared_ptr<Channel> channel, std::shared_ptr<Shared> shared,
                             asio::io_context* io) {
  asio::steady_timer timer(*io);
  while (shared->more()) {
    const std::uint64_t number = shared->begun++;
    Request request = shared->plan.make(number);
    const auto reply = co_await channel->exchange(std::move(request), shared->plan.timeout);
    if (!reply) {
      shared->blame(reply.error().message);
      continue;
    }
    if (const auto wait = postponement(*reply); wait.count() > 0) {
      ++shared->report.postponed;
      --shared->begun;
      timer.expires_after(wait);
      co_await timer.async_wait(kTuple);
      continue;
    }
    if (std::string what = shared->plan.judge(*reply); !what.empty()) {
      shared->blame(std::move(what));
      continue;
    }
    ++shared->report.answered;
    shared->report.milliseconds.push_back(reply->milliseconds);
  }
}

}  // namespace

double SwarmReport::percentile(double fraction) const {
  if (milliseconds.empty()) return 0;
  std::vector<double> sorted = milliseconds;
  const auto place = static_cast<std::size_t>(fraction * static_cast<double>(sorted.size() - 1));
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(place);
  std::ranges::nth_element(sorted, at);
  return *at;
}

SwarmReport run_swarm(const SwarmPlan& plan) {
  asio::io_context io(1);
  const auto start = Clock::now();
  auto shared = std::make_shared<Shared>(
      Shared{plan, {}, start + plan.budget, 0, std::max<std::uint64_t>(8, plan.requests / 100)});
  for (unsigned client = 0; client < plan.clients; ++client) {
    auto channel = std::make_shared<Channel>(io, plan.endpoint, plan.headers);
    asio::co_spawn(io, ask_on(channel, shared, &io), asio::detached);
  }
  try {
    io.run();
  } catch (const std::exception& error) {
    shared->blame(error.what());
  }
  shared->report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return std::move(shared->report);
}

}  // namespace dermlens::probe
