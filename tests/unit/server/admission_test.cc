#include "server/admission.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

namespace dermlens::server {
namespace {

std::shared_ptr<Ticket> ticket(
    std::function<void()> run, std::function<void()> finished = [] {}) {
  auto made = std::make_shared<Ticket>();
  made->run = std::move(run);
  made->finished = std::move(finished);
  return made;
}

// Keeps one worker busy until it is let go.
class Blocker {
 public:
  std::shared_ptr<Ticket> make() {
    return ticket([this] {
      started_.set_value();
      release_.get_future().wait();
    });
  }
  void wait_until_running() { started_.get_future().wait(); }
  void let_go() { release_.set_value(); }

 private:
  std::promise<void> started_, release_;
};

TEST(Workers, AFullQueueIsAnAnswer) {
  Workers workers(1, 1);
  Blocker blocker;
  ASSERT_TRUE(workers.push(blocker.make()));
  blocker.wait_until_running();
  EXPECT_TRUE(workers.push(ticket([] {})));
  const auto refused = workers.push(ticket([] {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::busy);
  EXPECT_EQ(workers.depth(), 1U);
  EXPECT_EQ(workers.busy(), 1U);
  blocker.let_go();
}

TEST(Workers, WithoutAQueueFreeThreadsAreStillUsed) {
  Workers workers(2, 0);
  Blocker first, second;
  ASSERT_TRUE(workers.push(first.make()));
  first.wait_until_running();
  ASSERT_TRUE(workers.push(second.make()));
  second.wait_until_running();
  EXPECT_FALSE(workers.push(ticket([] {})));
  first.let_go();
  second.let_go();
}

TEST(Workers, WithdrawnTicketsAreNeverComputed) {
  std::atomic<bool> ran = false;
  {
    Workers workers(1, 8);
    Blocker blocker;
    ASSERT_TRUE(workers.push(blocker.make()));
    blocker.wait_until_running();
    const auto waiting = ticket([&ran] { ran = true; });
    ASSERT_TRUE(workers.push(waiting));
    EXPECT_TRUE(workers.withdraw(waiting));
    EXPECT_FALSE(workers.withdraw(waiting));
    blocker.let_go();
  }
  EXPECT_FALSE(ran);
}

TEST(Workers, APlaceCountsThoseAheadAndNobodyElse) {
  Workers workers(1, 8);
  Blocker first, second;
  const auto named = [](std::shared_ptr<Ticket> made, std::string name) {
    made->name = std::move(name);
    return made;
  };
  const auto b = named(second.make(), "b"), c = named(ticket([] {}), "c");
  ASSERT_TRUE(workers.push(named(first.make(), "a")));
  first.wait_until_running();
  ASSERT_TRUE(workers.push(b));
  ASSERT_TRUE(workers.push(c));
  ASSERT_TRUE(workers.push(named(ticket([] {}), "d")));
  EXPECT_EQ(workers.place("a"), 0U);
  EXPECT_EQ(workers.place("b"), 1U);
  EXPECT_EQ(workers.place("c"), 2U);
  EXPECT_EQ(workers.place("d"), 3U);
  EXPECT_EQ(workers.place("e"), std::nullopt);
  EXPECT_TRUE(workers.withdraw(c));
  EXPECT_EQ(workers.place("c"), std::nullopt);
  EXPECT_EQ(workers.place("d"), 2U);
  first.let_go();
  second.wait_until_running();
  EXPECT_EQ(workers.place("b"), 0U);
  EXPECT_EQ(workers.place("d"), 1U);
  second.let_go();
}

TEST(Workers, ANameIsShortAndPlain) {
  for (const std::string& good : {std::string("a"), std::string(64, 'Z'), std::string("0-9_x")})
    EXPECT_TRUE(is_ticket_name(good)) << good;
  for (const std::string& bad : {std::string(), std::string(65, 'a'), std::string("a b"),
                                 std::string("a/b"), std::string("\xc3\xa9")})
    EXPECT_FALSE(is_ticket_name(bad)) << bad;
}

TEST(Workers, EveryTicketRunsOnceAndIsFinishedOnce) {
  std::atomic<int> runs = 0, ends = 0;
  std::promise<void> all;
  Workers workers(4, 1000);
  for (int i = 0; i < 500; ++i)
    ASSERT_TRUE(workers.push(ticket([&runs] { ++runs; },
                                    [&ends, &all] {
                                      if (++ends == 500) all.set_value();
                                    })));
  all.get_future().wait();
  workers.stop();
  EXPECT_EQ(runs, 500);
  EXPECT_EQ(ends, 500);
}

TEST(Workers, StoppingDropsWhatWaitsAndFinishesWhatRuns) {
  std::atomic<bool> ran = false;
  Workers workers(1, 8);
  Blocker blocker;
  ASSERT_TRUE(workers.push(blocker.make()));
  blocker.wait_until_running();
  ASSERT_TRUE(workers.push(ticket([&ran] { ran = true; })));
  std::thread stopper([&workers] { workers.stop(); });
  while (workers.depth() != 0) std::this_thread::yield();
  blocker.let_go();
  stopper.join();
  EXPECT_FALSE(ran);
  EXPECT_FALSE(workers.push(ticket([] {})));
}

TEST(Workers, AsManyRunAtOnceAsTheyWereLastToldTo) {
  Workers workers(2, 8);
  workers.resize(1);
  std::atomic<int> running = 0, most = 0, done = 0;
  const auto run = [&] {
    const int now = ++running;
    int seen = most;
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    --running;
    ++done;
  };
  const auto run_until = [&](int count) {
    while (done < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(workers.push(ticket(run)));
  run_until(6);
  EXPECT_EQ(most, 1);
  workers.resize(3);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(workers.push(ticket(run)));
  run_until(12);
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 3);
}

// No thread can be made while it lives: no address space has room for such a stack.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t endless;
    pthread_attr_init(&endless);
    EXPECT_EQ(pthread_attr_setstacksize(&endless, std::size_t{1} << 60), 0);
    EXPECT_EQ(pthread_setattr_default_np(&endless), 0);
    pthread_attr_destroy(&endless);
  }
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_;
};

TEST(Workers, WithoutAnyThreadTheAnswerIsThatTheyAreBusy) {
  Workers workers(2, 8);
  const auto given = ticket([] {});
  {
    const NoThreads none;
    const auto refused = workers.push(given);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::busy);
  }
  EXPECT_EQ(workers.depth(), 0U);
  EXPECT_FALSE(workers.withdraw(given));
  std::promise<void> ran;
  ASSERT_TRUE(workers.push(ticket([&ran] { ran.set_value(); })));
  ran.get_future().wait();
}

TEST(Workers, WhereNoThreadMoreCanBeMadeThoseThereDoTheWork) {
  Workers workers(2, 8);
  Blocker blocker;
  ASSERT_TRUE(workers.push(blocker.make()));
  blocker.wait_until_running();
  std::promise<void> ran;
  {
    const NoThreads none;
    ASSERT_TRUE(workers.push(ticket([&ran] { ran.set_value(); })));
    workers.resize(3);
  }
  blocker.let_go();
  ran.get_future().wait();
}

TEST(Workers, GoBehindTheThreadThatTalksToClients) {
  Workers workers(1, 1);
  const int here = ::getpriority(PRIO_PROCESS, 0);
  std::promise<int> there;
  auto ticket = std::make_shared<Ticket>();
  ticket->run = [&there] {
    there.set_value(::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())));
  };
  ticket->finished = [] {};
  ASSERT_TRUE(workers.push(ticket));
  EXPECT_GT(there.get_future().get(), here);
  EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), here);
}

}  // namespace
}  // namespace dermlens::server
