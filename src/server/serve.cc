// Start, accept, drain, end: the process's view of the server.
#include "server/serve.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <exception>

#include "base/checked.h"
#include "memory/process.h"
#include "server/app.h"
#include "server/configure.h"
#include "server/connection.h"

namespace dermlens::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kDrainPoll{50};
constexpr std::chrono::seconds kHousekeeping{5};

// What the coroutines of the listener share; on the I/O thread only.
struct Listener {
  Listener(asio::io_context& context, std::shared_ptr<App> shared_app)
      : io(context),
        acceptor(io),
        signals(io, SIGTERM, SIGINT),
        app(std::move(shared_app)),
        connections(std::make_shared<Connections>(app->options.max_connections)) {}

  asio::io_context& io;
  tcp::acceptor acceptor;
  asio::signal_set signals;
  std::shared_ptr<App> app;
  std::shared_ptr<Connections> connections;
};

Result<tcp::endpoint> resolve(const Options& options) {
  boost::system::error_code error;
  const std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
  const auto address = asio::ip::make_address(host, error);
  if (error) return fail(Errc::usage, "--host is not an IP address ('", options.host, "')");
  return tcp::endpoint(address, options.port);
}

Result<void> bind(Listener& listener) {
  TRY(const tcp::endpoint endpoint, resolve(listener.app->options));
  boost::system::error_code error;
  listener.acceptor.open(endpoint.protocol(), error);
  if (!error) listener.acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) listener.acceptor.bind(endpoint, error);
  if (!error) listener.acceptor.listen(1024, error);
  if (error)
    return fail(Errc::usage, "cannot listen (", listener.app->options.host, ":",
                listener.app->options.port, ", ", error.message(), ")");
  return {};
}

asio::awaitable<void> accept_clients(std::shared_ptr<Listener> listener) {
  asio::steady_timer pause(listener->acceptor.get_executor());
  while (listener->acceptor.is_open()) {
    auto [error, socket] = co_await listener->acceptor.async_accept(kTuple);
    if (!listener->acceptor.is_open()) break;
    if (error) {
      // Out of descriptors, mostly: those who leave make room.
      pause.expires_after(kDrainPoll);
      co_await pause.async_wait(kTuple);
      continue;
    }
    if (listener->connections->full() && !listener->connections->evict_waiting()) continue;
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    asio::co_spawn(listener->acceptor.get_executor(),
                   serve_connection(std::move(socket), listener->app, listener->connections),
                   asio::detached);
  }
}

// Hands what nobody waits for to a pool.
void push(Workers& pool, const std::shared_ptr<App>& app, std::function<void(App&)> work) {
  auto ticket = std::make_shared<Ticket>();
  ticket->run = [app, work = std::move(work)] {
    try {
      work(*app);
    } catch (const std::exception& error) {
      log(LogLevel::error, std::string("housekeeping failed: ") + error.what());
    }
  };
  ticket->finished = [] {};
  if (auto pushed = pool.push(ticket); !pushed)
    log(LogLevel::warning, "housekeeping is behind: " + pushed.error().message);
}

void forget_old_history(App& app) {
  constexpr std::int64_t kDay = 24 * 60 * 60;
  const auto gone =
      app.history->erase_before(std::time(nullptr) - std::int64_t{app.options.history_days} * kDay);
  if (!gone) log(LogLevel::error, gone.error().message);
}

asio::awaitable<void> keep_house(std::shared_ptr<Listener> listener) {
  const std::shared_ptr<App> app = listener->app;
  asio::steady_timer timer(listener->acceptor.get_executor());
  const auto idle = app->options.idle_unload;
  const Clock::duration period =
      idle.count() > 0 ? std::min<Clock::duration>(kHousekeeping, idle) : kHousekeeping;
  auto history_due = Clock::now();
  while (!app->draining) {
    timer.expires_after(period);
    co_await timer.async_wait(kTuple);
    app->results.expire();
    if (idle.count() > 0 && app->models->loaded() != 0)
      push(app->controls, app, [idle](App& a) { a.models->unload_idle(idle); });
    if (app->history != nullptr && app->options.history_days > 0 && Clock::now() >= history_due) {
      push(app->chores, app, forget_old_history);
      history_due = Clock::now() + std::chrono::hours(1);
    }
  }
}

asio::awaitable<void> watch_memory(std::shared_ptr<Listener> listener) {
  const std::shared_ptr<App> app = listener->app;
  asio::steady_timer timer(listener->acceptor.get_executor());
  while (!app->draining) {
    timer.expires_after(kLookPeriod);
    co_await timer.async_wait(kTuple);
    if (app->watch.busy() + app->watch.depth() == 0)
      push(app->watch, app, [](App& a) { a.pressure.look(a); });
  }
}

// After the signal: no new clients, idle ones are sent away, the others get their answers.
asio::awaitable<void> end_on_signal(std::shared_ptr<Listener> listener) {
  co_await listener->signals.async_wait(kTuple);
  App& app = *listener->app;
  app.draining = true;
  log(LogLevel::info, "shutting down: " + std::to_string(listener->connections->size()) +
                          " connections are finished first");
  boost::system::error_code ignored;
  listener->acceptor.close(ignored);
  const auto end = Clock::now() + app.options.deadline;
  asio::steady_timer timer(listener->io);
  while (listener->connections->size() != 0 && Clock::now() < end) {
    listener->connections->close_waiting();
    timer.expires_after(kDrainPoll);
    co_await timer.async_wait(kTuple);
  }
  listener->connections->close_all();
  listener->io.stop();
}

// For what runs as long as the server does: where it fails, for want of memory mostly, it begins
// again instead of ending unheard.
using Loop = asio::awaitable<void> (*)(std::shared_ptr<Listener> listener);

void keep_running(const std::shared_ptr<Listener>& listener, Loop loop) {
  asio::co_spawn(listener->io, loop(listener), [listener, loop](const std::exception_ptr& failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      log(LogLevel::error, std::string("a part of the server begins again: ") + error.what());
    }
    keep_running(listener, loop);
  });
}

void announce(const Listener& listener) {
  const App& app = *listener.app;
  const Options& options = app.options;
  boost::system::error_code ignored;
  const auto endpoint = listener.acceptor.local_endpoint(ignored);
  log(LogLevel::info,
      "listening on http://" + options.host + ":" + std::to_string(endpoint.port()) + "/, model " +
          app.models->default_name() + ", memory limit " + format_size(app.ledger.limit()) + " (" +
          std::string(to_string(app.pressure.state().room.limit.source)) + "), " +
          std::to_string(app.workers.threads()) +
          (app.workers.threads() == 1 ? " session" : " sessions") + ", queue " +
          std::to_string(options.queue) + ", heatmaps " + (options.explain ? "on" : "off"));
  log(LogLevel::info, "the plan: " + app.pressure.state().configuration.sentence);
  if (app.workers.threads() < static_cast<std::size_t>(options.sessions))
    log(LogLevel::warning, "--sessions " + std::to_string(options.sessions) + " do not fit: " +
                               std::to_string(app.workers.threads()) + " at once");
  if (app.access->required()) {
    log(LogLevel::info, "a token is needed for everything but the health checks");
  } else if (endpoint.address().is_loopback()) {
    log(LogLevel::info, "only this machine can connect; --host and --api-token-file let others in");
  } else {
    log(LogLevel::warning, "anyone who reaches this address may use it: no --api-token-file");
  }
}

}  // namespace

Result<void> serve(const Options& options) {
  set_log_format(options.log_format);
  // Held back until there is a server to end; opening it looks for them where it takes its time.
  const sigset_t ending = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  auto opened = App::open(options);
  if (!opened && opened.error().code == Errc::cancelled) {
    log(LogLevel::info, "ended before it began");
    return {};
  }
  TRY(const std::shared_ptr<App> app, std::move(opened));
  // Before the connections' frames go, their answers must have come: the pools end first.
  asio::io_context io(1);
  auto listener = std::make_shared<Listener>(io, app);
  ::pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
  TRY_VOID(bind(*listener));
  announce(*listener);
  for (const Loop loop : {accept_clients, keep_house, watch_memory, end_on_signal})
    keep_running(listener, loop);
  if (options.preload) {
    push(app->controls, app, [](App& a) {
      const auto model = a.models->use({}, {}, Clock::now() + std::chrono::minutes(10));
      if (!model) log(LogLevel::error, "preloading failed: " + model.error().message);
    });
  }
  io.run();
  app->workers.stop();
  app->watch.stop();
  app->controls.stop();
  app->chores.stop();
  log(LogLevel::info, "ended");
  return {};
}

}  // namespace dermlens::server
