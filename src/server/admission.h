// The bounded queue before the workers. What is admitted waits at most until its deadline; what
// nobody waits for any more is taken out and never computed. A full queue is an answer, not a wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "server/message.h"

namespace dermlens::server {

// Work handed to a pool. `run` is called once on a worker, or never; `finished` is called on the
// worker right after it. Both may not throw.
struct Ticket {
  std::function<void()> run;
  std::function<void()> finished;
  Clock::time_point deadline;
  Clock::time_point queued;
  std::string name;  // which its client gave it, to ask after it; may be empty

 private:
  friend class Workers;
  bool waiting = false;  // under the pool's mutex
};

// Whether a client may call its request so: 1 to 64 letters, digits, '-' and '_'.
bool is_ticket_name(std::string_view text);

// Threads, made when the first ticket comes, and the tickets before them. Any thread may call.
class Workers {
 public:
  Workers(std::size_t threads, std::size_t most_waiting)
      : threads_wanted_(threads), most_waiting_(most_waiting) {}
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Fails with busy where `most_waiting` tickets already wait and no thread is free, or where there
  // is none and the system gives none.
  Result<void> push(std::shared_ptr<Ticket> ticket);
  // Takes a ticket that still waits out of the queue; false where it runs, ran or is gone.
  bool withdraw(const std::shared_ptr<Ticket>& ticket);
  // The place of the ticket of that name, the earliest where several have it: 1 is the next to run,
  // 0 runs. Absent where there is none: not yet, not any more, or refused.
  std::optional<std::size_t> place(std::string_view name) const;

  std::size_t depth() const;
  std::size_t busy() const;
  std::size_t threads() const { return threads_wanted_; }
  // So many run at once from now on; what runs is finished, and threads stay.
  void resize(std::size_t threads);
  std::size_t most_waiting() const { return most_waiting_; }

  // Finishes what runs, drops what waits, joins. Idempotent.
  void stop();

 private:
  void work();
  void add_threads();

  std::atomic<std::size_t> threads_wanted_;
  const std::size_t most_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::list<std::shared_ptr<Ticket>> waiting_, running_;
  std::vector<std::thread> threads_;
  bool stopping_ = false;
};

}  // namespace dermlens::server
