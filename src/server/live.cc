// Each event is written under the write deadline: a dashboard that does not read is let go.
#include "server/live.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "server/deadlines.h"
#include "server/report.h"
#include "server/wire.h"

namespace dermlens::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr std::chrono::seconds kPeriod{1};

struct Counted {
  explicit Counted(App& given) : app(given) { ++app.event_streams; }
  ~Counted() { --app.event_streams; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  App& app;
};

asio::awaitable<bool> write_text(tcp::socket& socket, std::chrono::milliseconds limit,
                                 std::shared_ptr<const std::string> text) {
  Deadline deadline(socket);
  deadline.arm(limit);
  const auto [error, count] =
      co_await asio::async_write(socket, asio::buffer(*text), asio::as_tuple(asio::use_awaitable));
  co_return !error;
}

}  // namespace

asio::awaitable<void> stream_events(tcp::socket& socket, std::shared_ptr<App> app,
                                    std::shared_ptr<HttpRequest> request) {
  const Counted counted(*app);
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers.emplace_back("X-Accel-Buffering", "no");
  auto text = std::make_shared<const std::string>(
      write_header(head, std::nullopt, false,
                   app->access->cors_origin_for(request->header("origin"))) +
      "retry: 3000\n\n");
  asio::steady_timer timer(socket.get_executor());
  std::uint64_t before = app->metrics.requests();
  auto last = Clock::now();
  while (co_await write_text(socket, app->options.write_timeout, text)) {
    timer.expires_after(kPeriod);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (app->draining || !socket.is_open()) break;
    const std::uint64_t requests = app->metrics.requests();
    const double seconds = std::chrono::duration<double>(Clock::now() - last).count();
    text = std::make_shared<const std::string>(
        "event: memory\ndata: " +
        live_report(*app, static_cast<double>(requests - before) / seconds) + "\n\n");
    before = requests;
    last = Clock::now();
  }
}

}  // namespace dermlens::server
