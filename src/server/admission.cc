// One mutex, one queue, a few threads.
#include "server/admission.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include "base/log.h"

namespace dermlens::server {
namespace {

// Where processors are few, the thread that talks to all clients goes before those that compute
// for one each. Threads that a worker starts (OpenMP's) inherit it.
void step_back() {
  constexpr int kSteps = 5;
  const auto self = static_cast<id_t>(::gettid());
  errno = 0;
  const int now = ::getpriority(PRIO_PROCESS, self);
  if (errno == 0) ::setpriority(PRIO_PROCESS, self, now + kSteps);
}

}  // namespace

bool is_ticket_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

Result<void> Workers::push(std::shared_ptr<Ticket> ticket) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::busy, "the server is shutting down");
    if (waiting_.size() >= most_waiting_ &&
        running_.size() + waiting_.size() >= threads_wanted_ + most_waiting_)
      return fail(Errc::busy, "the queue is full (", waiting_.size(), " waiting, ", most_waiting_,
                  ")");
    ticket->queued = Clock::now();
    waiting_.push_back(ticket);
    add_threads();
    if (threads_.empty()) {
      waiting_.pop_back();
      return fail(Errc::busy, "the system has no thread to compute this on");
    }
    ticket->waiting = true;
  }
  wake_.notify_one();
  return {};
}

bool Workers::withdraw(const std::shared_ptr<Ticket>& ticket) {
  const std::lock_guard lock(mutex_);
  if (!ticket->waiting) return false;
  ticket->waiting = false;
  waiting_.remove(ticket);
  return true;
}

std::optional<std::size_t> Workers::place(std::string_view name) const {
  const auto has_name = [name](const auto& ticket) { return ticket->name == name; };
  const std::lock_guard lock(mutex_);
  if (std::ranges::any_of(running_, has_name)) return 0;
  const auto found = std::ranges::find_if(waiting_, has_name);
  if (found == waiting_.end()) return std::nullopt;
  return static_cast<std::size_t>(std::distance(waiting_.begin(), found)) + 1;
}

std::size_t Workers::depth() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

std::size_t Workers::busy() const {
  const std::lock_guard lock(mutex_);
  return running_.size();
}

void Workers::resize(std::size_t threads) {
  {
    const std::lock_guard lock(mutex_);
    threads_wanted_ = threads;
    if (!stopping_) add_threads();
  }
  wake_.notify_all();
}

// As many as there is to do: an idle server has none. Where the system has no more to give, those
// that are there do the work.
void Workers::add_threads() {
  try {
    while (threads_.size() < threads_wanted_ && running_.size() + waiting_.size() > threads_.size())
      threads_.emplace_back([this] { work(); });
  } catch (const std::exception& error) {
    log(LogLevel::warning, std::string("a thread could not be made: ") + error.what());
  }
}

void Workers::stop() {
  std::vector<std::thread> threads;
  std::list<std::shared_ptr<Ticket>> dropped;  // their destructors run outside the lock
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& ticket : waiting_) ticket->waiting = false;
    dropped.swap(waiting_);
    threads.swap(threads_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void Workers::work() {
  step_back();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] {
      return stopping_ || (!waiting_.empty() && running_.size() < threads_wanted_);
    });
    if (stopping_) return;
    // Moved from list to list: a worker allocates nothing that could fail.
    running_.splice(running_.end(), waiting_, waiting_.begin());
    const auto place = std::prev(running_.end());
    const std::shared_ptr<Ticket> ticket = *place;
    ticket->waiting = false;
    lock.unlock();
    ticket->run();
    lock.lock();
    running_.erase(place);
    // One of those who were not to run may now.
    if (!waiting_.empty()) wake_.notify_one();
    lock.unlock();
    // Last: who asks again at once finds the place free.
    ticket->finished();
    lock.lock();
  }
}

}  // namespace dermlens::server
