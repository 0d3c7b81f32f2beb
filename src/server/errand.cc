// What both threads share is one Errand: the worker writes its result before it posts, the I/O
// thread reads it after; nothing else is shared.
#include "server/errand.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "server/errors.h"

namespace dermlens::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

struct Errand {
  Errand(const tcp::socket::executor_type& executor, std::shared_ptr<App> shared_app,
         std::shared_ptr<HttpRequest> given)
      : wake(executor), app(std::move(shared_app)), request(std::move(given)) {}

  asio::steady_timer wake;  // I/O thread
  bool done = false;        // I/O thread
  bool readable = false;    // I/O thread: bytes, or the end
  std::shared_ptr<App> app;
  std::shared_ptr<HttpRequest> request;
  HttpResponse response;  // the worker's until done
};

// Whether the peer has closed its side or the connection broke. Bytes that wait to be read are
// those of a next request, and no sign of leaving.
bool peer_has_left(tcp::socket& socket) {
  char byte = 0;
  const ssize_t count = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void compute(Errand& errand, Clock::time_point queued) {
  App& app = *errand.app;
  const auto waited = Clock::now() - queued;
  errand.request->queue_ms = std::chrono::duration<double, std::milli>(waited).count();
  if (errand.request->route->room == Room::inference)
    app.metrics.queued(errand.request->queue_ms / 1000);
  if (Clock::now() > errand.request->deadline)
    errand.response =
        error_response(Error{Errc::deadline, "the request's deadline passed in the queue", 0, 0});
  else
    errand.response = app.handle(*errand.request);
}

}  // namespace

asio::awaitable<std::optional<HttpResponse>> run_errand(tcp::socket& socket,
                                                        std::shared_ptr<App> app, Workers* pool,
                                                        std::shared_ptr<HttpRequest> request) {
  const auto executor = socket.get_executor();
  auto errand = std::make_shared<Errand>(executor, app, request);
  auto ticket = std::make_shared<Ticket>();
  ticket->name = request->parameter("ticket").value_or("");
  ticket->run = [errand, queued = Clock::now()] { compute(*errand, queued); };
  ticket->finished = [errand, executor] {
    asio::post(executor, [errand] {
      errand->done = true;
      errand->wake.cancel();
    });
  };
  if (auto pushed = pool->push(ticket); !pushed) co_return error_response(pushed.error());
  socket.async_wait(tcp::socket::wait_read, [errand](const boost::system::error_code& error) {
    if (error) return;
    errand->readable = true;
    errand->wake.cancel();
  });
  errand->wake.expires_at(request->deadline);
  while (!errand->done) {
    co_await errand->wake.async_wait(asio::as_tuple(asio::use_awaitable));
    if (errand->done) break;
    if (errand->readable) {
      errand->readable = false;
      if (!peer_has_left(socket)) continue;
      pool->withdraw(ticket);
      co_return std::nullopt;
    }
    if (Clock::now() < request->deadline) continue;
    if (pool->withdraw(ticket)) {
      boost::system::error_code ignored;
      socket.cancel(ignored);
      co_return error_response(
          Error{Errc::deadline, "the request's deadline passed in the queue", 0, 0});
    }
    errand->wake.expires_at(Clock::time_point::max());  // it runs: its answer is worth waiting for
  }
  boost::system::error_code ignored;
  socket.cancel(ignored);
  co_return std::move(errand->response);
}

asio::awaitable<bool> run_chore(asio::any_io_executor executor, std::shared_ptr<App> app,
                                std::function<bool(App&)> work) {
  struct Chore {
    asio::steady_timer wake;  // I/O thread
    bool done = false;        // I/O thread
    bool result = false;      // the worker's until done
  };
  auto chore = std::make_shared<Chore>(asio::steady_timer(executor, Clock::time_point::max()));
  auto ticket = std::make_shared<Ticket>();
  ticket->run = [chore, app, work = std::move(work)] {
    try {
      chore->result = work(*app);
    } catch (const std::exception& error) {
      log(LogLevel::error, std::string("a chore failed: ") + error.what());
    }
  };
  ticket->finished = [chore, executor] {
    asio::post(executor, [chore] {
      chore->done = true;
      chore->wake.cancel();
    });
  };
  if (!app->chores.push(ticket)) co_return false;
  while (!chore->done) co_await chore->wake.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return chore->result;
}

}  // namespace dermlens::server
