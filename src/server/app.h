// Everything that the parts of one running server share. Made once by serve(); handlers on every
// thread see it by reference, each member says who may call it (all here: any thread).
#pragma once

#include <atomic>
#include <ctime>
#include <memory>
#include <mutex>
#include <span>

#include "history/store.h"
#include "memory/ledger.h"
#include "memory/limit.h"
#include "server/access.h"
#include "server/admission.h"
#include "server/assets.h"
#include "server/metrics.h"
#include "server/models.h"
#include "server/options.h"
#include "server/pages.h"
#include "server/pressure.h"
#include "server/results.h"
#include "server/router.h"

namespace dermlens::server {

// Answers up to here are part of what every connection may hold; larger ones are reserved for.
inline constexpr Bytes kSmallAnswer = 16 * 1024;

struct App {
  // Opens what the options name, in the order in which mistakes are best told. Loads no model.
  static Result<std::shared_ptr<App>> open(const Options& options);

  App(const Options& given, const MemoryLimit& found, const Configuration& chosen);
  ~App();

  // Runs the handler of `request` on the calling thread; whatever fails becomes a response.
  HttpResponse handle(HttpRequest& request);

  // Room for `bytes` more of an answer beside what `hold` has; kept results give way to it.
  Result<void> make_room(Reservation& hold, Bytes bytes);

  // What may be used from now on, of which the plan takes up to `predicted`; kept results give way
  // where they are in the way of either.
  void set_limit(Bytes bytes, Bytes predicted);

  // The process's high-water mark, read at most every 100 ms.
  Bytes peak_rss() const;
  // How many reservations failed so far, of uploads that found their share taken, too.
  std::uint64_t refused() const { return ledger.refused() + uploads.refused(); }
  // Whether one failed within the last seconds.
  bool refused_lately() const;

  // A page for a browser in place of the JSON of an error.
  HttpResponse dressed(const HttpRequest& request, HttpResponse response) const;

  const Options options;
  Pressure pressure;
  const Clock::time_point started = Clock::now();
  const std::time_t started_at = std::time(nullptr);
  Ledger ledger;
  Ledger uploads;    // what uploads may take of it together: a share, or one of the largest
  Reservation base;  // this process beside what the engine reserves
  Metrics metrics;
  Results results;
  std::unique_ptr<Access> access;
  std::unique_ptr<Assets> assets;
  std::unique_ptr<Pages> pages;
  std::unique_ptr<history::Store> history;  // null without --history
  std::unique_ptr<Models> models;
  std::span<const Route> routes;

  std::atomic<bool> draining = false;
  std::atomic<std::size_t> connections = 0;
  std::atomic<std::size_t> event_streams = 0;

  // Last, so that their threads end before what they use.
  Workers chores;
  Workers controls;
  Workers watch;  // looks at the memory that is left
  Workers workers;

 private:
  // What the handler says; a large answer that it has not reserved for is reserved for here.
  Result<HttpResponse> respond(HttpRequest& request);
  // After a load: the libraries' pages that the engine has touched now count; `engine` is all that
  // it adds to the bare process, as measured at start, 0 where it was not.
  void count_libraries(const diagnose::Model& model, Bytes engine);

  std::mutex base_mutex_;
  Bytes bare_ = 0;  // the base before any load
  bool libraries_counted_ = false;
  mutable std::atomic<Bytes> peak_ = 0;
  mutable std::atomic<std::uint64_t> peak_read_ms_ = 0;
  mutable std::atomic<std::uint64_t> refused_seen_ = 0;
  mutable std::atomic<Clock::rep> refused_at_ = 0;
};

// What a server's process takes before it looks at a model, and what it is allowed for its
// connections: measured in this one, with what `options` name opened for as long. Fails as
// App::open does.
Result<Bytes> measure_base(const Options& options);

// Every route there is (routes.cc).
std::span<const Route> all_routes();

}  // namespace dermlens::server
