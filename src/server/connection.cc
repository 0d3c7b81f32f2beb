// The life of a connection. Coroutines take what they need by value (shared pointers) and hold no
// lock across a suspension; they all run on the one I/O thread.
#include "server/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>

#include "memory/process.h"
#include "server/deadlines.h"
#include "server/errand.h"
#include "server/errors.h"
#include "server/intake.h"
#include "server/live.h"
#include "server/wire.h"

namespace dermlens::server {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::asio::awaitable;
using boost::asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// The slowest body, up or down: so much a second from its begin on, beside a start of `stall`.
constexpr std::uint64_t kSlowestBytesPerSecond = 32 * 1024;

// How long the next bytes may take. Time is earned by what has moved, not granted for what was
// promised; and nothing may stand still for longer than at the start.
Clock::duration time_left(Clock::time_point start, std::size_t moved, Clock::duration stall) {
  const auto earned = std::chrono::milliseconds(moved * 1000 / kSlowestBytesPerSecond);
  return std::clamp<Clock::duration>(start + stall + earned - Clock::now(), Clock::duration(1),
                                     stall);
}

}  // namespace

struct Connection {
  Connection(tcp::socket accepted, std::shared_ptr<App> shared_app,
             std::shared_ptr<Connections> registry)
      : socket(std::move(accepted)),
        deadline(socket),
        app(std::move(shared_app)),
        connections(std::move(registry)),
        buffer(kMaxHeader + 4096) {
    place = connections->all_.insert(connections->all_.end(), this);
    ++app->connections;
    boost::system::error_code ignored;
    const auto remote = socket.remote_endpoint(ignored);
    if (!ignored) peer = remote.address().to_string();
  }
  ~Connection() {
    connections->all_.erase(place);
    if (in_base) --connections->in_base_;
    --app->connections;
  }

  tcp::socket socket;
  Deadline deadline;
  std::shared_ptr<App> app;
  std::shared_ptr<Connections> connections;
  std::list<Connection*>::iterator place;
  boost::beast::flat_buffer buffer;
  Reservation hold;      // its kConnectionBytes, unless `in_base`
  bool in_base = false;  // one of those that the base counts
  std::string peer;
  bool waiting = true;  // for a header: may be ended without harm
  bool unread = false;  // the client may still be sending what nobody reads
};

void Connections::begin_to_wait(Connection& connection) {
  all_.splice(all_.end(), all_, connection.place);
  connection.waiting = true;
}

Connection* Connections::evict_waiting(const Connection* except) {
  const auto found = std::find_if(all_.begin(), all_.end(), [except](const Connection* c) {
    return c->waiting && c != except;
  });
  if (found == all_.end()) return nullptr;
  boost::system::error_code ignored;
  (*found)->socket.close(ignored);
  (*found)->waiting = false;  // it is on its way out
  return *found;
}

bool Connections::find_room(Connection& connection) {
  if (in_base_ < kConnectionsInBase) {
    ++in_base_;
    return connection.in_base = true;
  }
  if (auto hold = connection.app->ledger.reserve(Category::bodies, kConnectionBytes)) {
    connection.hold = std::move(*hold);
    return true;
  }
  // Its last bytes go when it hears of it, which is before the new one has read its first.
  Connection* const other = evict_waiting(&connection);
  if (other == nullptr) return false;
  connection.hold = std::move(other->hold);
  connection.in_base = std::exchange(other->in_base, false);
  return true;
}

void Connections::close_waiting() {
  boost::system::error_code ignored;
  for (Connection* connection : all_)
    if (connection->waiting) connection->socket.close(ignored);
}

void Connections::close_all() {
  boost::system::error_code ignored;
  for (Connection* connection : all_) connection->socket.close(ignored);
}

namespace {

using Shared = std::shared_ptr<Connection>;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A status of ours, too: the client has gone, or did not take all of its answer in time.
constexpr unsigned kClientHasGone = 499;

// Counts and logs a request; `bytes` of the answer's body were taken. Never the path or the query:
// they may hold a result's id.
void record(App& app, const HttpRequest& request, unsigned status, std::size_t bytes,
            Clock::time_point start) {
  const std::string_view route =
      request.route != nullptr ? request.route->pattern : std::string_view("-");
  const double ms = milliseconds_since(start);
  app.metrics.request(route, status, ms / 1000);
  log(status >= 500 && status != 503 ? LogLevel::warning : LogLevel::info, "request",
      {{"method", to_string(request.method)},
       {"route", route},
       {"status", std::uint64_t{status}},
       {"bytes", std::uint64_t{bytes}},
       {"ms", ms},
       {"peak_mb", static_cast<double>(app.peak_rss()) / (1 << 20)}});
}

// Writes header and body. Returns how many bytes the client took in time.
awaitable<std::size_t> write_all(Shared connection, std::shared_ptr<const std::string> head,
                                 std::shared_ptr<const HttpResponse> response, bool with_body) {
  const std::string_view body = with_body ? response->bytes() : std::string_view();
  std::array<asio::const_buffer, 2> left{asio::buffer(*head),
                                         asio::buffer(body.data(), body.size())};
  const Clock::time_point start = Clock::now();
  std::size_t written = 0;
  while (written < head->size() + body.size()) {
    connection->deadline.arm(time_left(start, written, connection->app->options.write_timeout));
    const auto [error, count] = co_await connection->socket.async_write_some(left, kTuple);
    connection->deadline.disarm();
    if (error) break;
    written += count;
    const std::size_t of_head = std::min(count, left[0].size());
    left[0] += of_head;
    left[1] += count - of_head;
  }
  co_return written;
}

// Ends a connection so that the client gets to read the answer: closing with unread bytes would
// reset it. Reads a little of what still comes, for a little while.
awaitable<void> linger(Shared connection) {
  boost::system::error_code ignored;
  connection->socket.shutdown(tcp::socket::shutdown_send, ignored);
  connection->deadline.arm(std::chrono::seconds(2));
  auto scrap = std::make_unique<std::array<char, 4096>>();
  for (std::size_t total = 0; total < (std::size_t{8} << 20);) {
    const auto [error, count] =
        co_await connection->socket.async_read_some(asio::buffer(*scrap), kTuple);
    if (error) break;
    total += count;
  }
  connection->deadline.disarm();
}

// Reads the body into memory that is reserved already. Fails with deadline (408) or cancelled.
awaitable<Result<void>> read_body(Shared connection, std::shared_ptr<HttpRequest> request) {
  const auto& options = connection->app->options;
  const std::span<std::byte> body = request->body.bytes();
  std::size_t have = std::min(body.size(), connection->buffer.size());
  std::copy_n(static_cast<const std::byte*>(connection->buffer.data().data()), have, body.begin());
  connection->buffer.consume(have);
  const Clock::time_point start = Clock::now();
  while (have < body.size()) {
    connection->deadline.arm(time_left(start, have, options.body_stall));
    const auto [error, count] = co_await connection->socket.async_read_some(
        asio::buffer(body.data() + have, body.size() - have), kTuple);
    const bool late = connection->deadline.expired();
    connection->deadline.disarm();
    if (late)
      co_return fail(Errc::deadline, "the body came too slowly (", have, " of ", body.size(),
                     " bytes)");
    if (error) co_return fail(Errc::cancelled, "the client left while sending");
    have += count;
  }
  co_return Result<void>();
}

// Whether there would be room if nothing were kept for later.
bool could_fit(const App& app, const Error& refusal) {
  return app.models->could_fit(refusal, app.ledger.reserved(Category::results));
}

// Memory for the body, reserved. Where there is none, what is kept for later makes room for what is
// asked now: results at once, models that nobody uses on a thread that may wait.
awaitable<Result<Body>> make_body(Shared connection, const Route& route, std::uint64_t length) {
  App& app = *connection->app;
  if (length == 0) co_return Body();  // needs none, however short memory is
  auto share = admit_body(app, route, length);
  if (!share) co_return tl::make_unexpected(std::move(share).error());
  for (;;) {
    auto body = Body::reserve(app.ledger, length, std::move(*share));
    if (body || !could_fit(app, body.error())) co_return std::move(body);
    if (app.results.make_room(body.error().missing())) continue;
    const auto unload = [](App& a) { return a.models->unload_one(); };
    if (!co_await run_chore(connection->socket.get_executor(), connection->app, unload))
      co_return std::move(body);
  }
}

// Reads and answers one request whose header is there. Absent: the client has gone.
awaitable<std::optional<HttpResponse>> respond(Shared connection,
                                               std::shared_ptr<HttpRequest> request,
                                               Framing framing) {
  App& app = *connection->app;
  const std::uint64_t length = framing.content_length.value_or(0);
  connection->unread = length > connection->buffer.size() || framing.chunked;
  if (auto refusal = check_head(app, *request, framing)) co_return std::move(refusal);
  auto body = co_await make_body(connection, *request->route, length);
  if (!body) co_return error_response(body.error());
  request->body = std::move(*body);
  if (framing.expects_continue && connection->buffer.size() < length) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    connection->deadline.arm(app.options.write_timeout);
    const auto [error, count] = co_await asio::async_write(
        connection->socket, asio::buffer(kContinue.data(), kContinue.size()), kTuple);
    connection->deadline.disarm();
    if (error) co_return std::nullopt;
  }
  const auto read = co_await read_body(connection, request);
  if (!read && read.error().code == Errc::deadline)
    co_return error_response(408, "slow_client", read.error().message);
  if (!read) co_return std::nullopt;
  connection->unread = false;
  request->deadline = deadline_of(app.options, *request);
  switch (request->route->room) {
    case Room::inference:
      co_return co_await run_errand(connection->socket, connection->app, &app.workers, request);
    case Room::chore:
      request->deadline = Clock::now() + kChoreDeadline;
      co_return co_await run_errand(connection->socket, connection->app, &app.chores, request);
    case Room::control:
      request->deadline = Clock::now() + kChoreDeadline;
      co_return co_await run_errand(connection->socket, connection->app, &app.controls, request);
    case Room::instant:
    case Room::events:
      break;
  }
  co_return app.handle(*request);
}

// Sends the answer; true where the connection may go on.
awaitable<bool> answer(Shared connection, std::shared_ptr<HttpRequest> request,
                       std::shared_ptr<HttpResponse> response, bool keep_alive,
                       Clock::time_point start) {
  App& app = *connection->app;
  // Bytes behind the request were sent before its answer was read: pipelining, which ends here.
  const bool go_on = keep_alive && !connection->unread && connection->buffer.size() == 0 &&
                     response->status != 408 && !app.draining;
  const std::size_t size = response->bytes().size();
  auto head = std::make_shared<const std::string>(
      write_header(*response, size, go_on, app.access->cors_origin_for(request->header("origin"))));
  const bool with_body =
      request->method != Method::head && response->status != 204 && response->status != 304;
  const std::size_t written = co_await write_all(connection, head, response, with_body);
  const bool taken = written == head->size() + (with_body ? size : 0);
  record(app, *request, taken ? response->status : kClientHasGone,
         written - std::min(written, head->size()), start);
  {
    // What it holds is for others now, however long the client stays.
    const HttpResponse done = std::move(*response);
  }
  if (taken && !go_on) co_await linger(connection);
  co_return taken&& go_on;
}

// Waits for a header; absent where there is none to answer.
awaitable<std::optional<Header>> next_header(Shared connection, bool first) {
  const auto& options = connection->app->options;
  HeaderParser parser;
  parser.header_limit(kMaxHeader);
  parser.body_limit(boost::none);
  connection->deadline.arm(first ? options.header_timeout : options.idle_timeout);
  const auto [error, count] =
      co_await http::async_read_header(connection->socket, connection->buffer, parser, kTuple);
  const bool late = connection->deadline.expired();
  connection->deadline.disarm();
  if (!error) co_return read_header(parser);
  Header header;
  header.request = std::make_shared<HttpRequest>();
  connection->unread = true;
  if (late) {
    // A kept connection that stays silent just ends.
    if (connection->buffer.size() == 0 && !parser.got_some()) co_return std::nullopt;
    header.status = 408;
    header.refusal = "the header came too slowly";
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    header.status = 431;
    header.refusal = "the header is too large";
  } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    header.status = 400;
    header.refusal = "this is not HTTP (" + error.message() + ")";
  } else {
    co_return std::nullopt;
  }
  co_return header;
}

// Where there is no memory to read a request in: says so without reading it.
awaitable<void> turn_away(Shared connection) {
  connection->waiting = false;
  auto response = std::make_shared<HttpResponse>(
      error_response(Error{Errc::no_memory, "no memory for one connection more", kConnectionBytes,
                           connection->app->ledger.available()}));
  auto head = std::make_shared<const std::string>(
      write_header(*response, response->body.size(), false, {}));
  connection->app->metrics.request("-", response->status, 0);
  const std::size_t written = co_await write_all(connection, head, response, true);
  if (written == head->size() + response->body.size()) co_await linger(connection);
}

// One request and its answer; true where another may follow.
awaitable<bool> serve_one(Shared connection, bool first) {
  App& app = *connection->app;
  connection->connections->begin_to_wait(*connection);
  auto header = co_await next_header(connection, first);
  connection->waiting = false;
  if (!header) co_return false;
  const auto start = Clock::now();
  const std::shared_ptr<HttpRequest> request = header->request;
  request->peer = connection->peer;
  std::optional<HttpResponse> response;
  if (header->status != 0) {
    connection->unread = true;
    response = error_response(header->status, "bad_request", header->refusal);
  } else {
    try {
      response = co_await respond(connection, request, header->framing);
    } catch (const std::bad_alloc&) {
      response = error_response(Error{Errc::no_memory, "out of memory", 0, 0});
    }
  }
  if (!response) {
    record(app, *request, kClientHasGone, 0, start);
    co_return false;
  }
  if (response->status == 200 && request->route != nullptr &&
      request->route->room == Room::events && request->method == Method::get) {
    record(app, *request, response->status, 0, start);
    co_await stream_events(connection->socket, connection->app, request);
    co_return false;
  }
  auto dressed = std::make_shared<HttpResponse>(app.dressed(*request, std::move(*response)));
  request->body = Body();
  const bool keep_alive = header->framing.keep_alive && header->status == 0;
  co_return co_await answer(connection, request, dressed, keep_alive, start);
}

}  // namespace

awaitable<void> serve_connection(tcp::socket socket, std::shared_ptr<App> app,
                                 std::shared_ptr<Connections> connections) {
  auto connection = std::make_shared<Connection>(std::move(socket), app, connections);
  try {
    if (!connections->find_room(*connection)) co_return co_await turn_away(connection);
    for (bool first = true; co_await serve_one(connection, first); first = false)
      connection->buffer.shrink_to_fit();
  } catch (const std::bad_alloc&) {
    log(LogLevel::warning, "out of memory on a connection, which was closed");
  } catch (const std::exception& error) {
    log(LogLevel::error, error.what());
  }
}

}  // namespace dermlens::server
