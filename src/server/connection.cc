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
#include <charconv>
#include <cstdio>

#include "memory/process.h"
#include "server/deadlines.h"
#include "server/errand.h"
#include "server/errors.h"
#include "server/live.h"
#include "server/wire.h"

namespace dermlens::server {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::asio::awaitable;
using boost::asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr Bytes kSmallBody = 64 * 1024;
// The slowest whole upload: this much a second, beside a start of `body_stall`.
constexpr std::uint64_t kSlowestBytesPerSecond = 32 * 1024;
// What a connection may hold beside its body: header buffer, parser, fields, coroutine frames.
constexpr Bytes kConnectionBytes = 24 * 1024;

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
    --app->connections;
  }

  tcp::socket socket;
  Deadline deadline;
  std::shared_ptr<App> app;
  std::shared_ptr<Connections> connections;
  std::list<Connection*>::iterator place;
  boost::beast::flat_buffer buffer;
  Reservation hold;
  std::string peer;
  bool waiting = true;  // for a header: may be ended without harm
  bool unread = false;  // the client may still be sending what nobody reads
};

bool Connections::evict_waiting() {
  const auto found =
      std::find_if(all_.begin(), all_.end(), [](const Connection* c) { return c->waiting; });
  if (found == all_.end()) return false;
  boost::system::error_code ignored;
  (*found)->socket.close(ignored);
  (*found)->waiting = false;  // it is on its way out
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

// Never the path or the query: they may hold a result's id.
void log_request(const App& app, const HttpRequest& request, unsigned status, std::size_t bytes,
                 double ms) {
  std::array<char, 256> line{};
  const std::string_view route =
      request.route != nullptr ? request.route->pattern : std::string_view("-");
  std::snprintf(line.data(), line.size(), "request %s %.*s %u %zuB %.1fms peak=%.1fMB",
                to_string(request.method).data(), static_cast<int>(route.size()), route.data(),
                status, bytes, ms, static_cast<double>(app.peak_rss()) / (1 << 20));
  log(status >= 500 && status != 503 ? LogLevel::warning : LogLevel::info, line.data());
}

// Writes header and body; false where the client did not take them in time.
awaitable<bool> write_all(Shared connection, std::shared_ptr<const std::string> head,
                          std::shared_ptr<const HttpResponse> response, bool with_body) {
  const std::string_view body = with_body ? response->bytes() : std::string_view();
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(*head),
                                                  asio::buffer(body.data(), body.size())};
  connection->deadline.arm(connection->app->options.write_timeout);
  const auto [error, written] = co_await asio::async_write(connection->socket, buffers, kTuple);
  connection->deadline.disarm();
  co_return !error;
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
  const Clock::time_point end = Clock::now() + options.body_stall +
                                std::chrono::seconds(body.size() / kSlowestBytesPerSecond);
  while (have < body.size()) {
    const auto left = end - Clock::now();
    connection->deadline.arm(
        std::clamp<Clock::duration>(left, Clock::duration(1), options.body_stall));
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

// The refusal of a request whose body need not be read, if there is one.
std::optional<HttpResponse> check_head(App& app, HttpRequest& request, const Framing& framing) {
  Match match = find_route(app.routes, request.method, request.path);
  request.route = match.route;
  request.captures = std::move(match.captures);
  if (match.allow.empty())
    return error_response(404, "not_found", "there is nothing at this address");
  if (request.method == Method::options) {
    HttpResponse response;
    response.status = 204;
    response.headers.emplace_back("Allow", match.allow + ", OPTIONS");
    if (!app.access->cors_origin_for(request.header("origin")).empty()) {
      response.headers.emplace_back("Access-Control-Allow-Methods", match.allow);
      response.headers.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type");
      response.headers.emplace_back("Access-Control-Max-Age", "600");
    }
    return response;
  }
  if (match.route == nullptr) {
    HttpResponse response =
        error_response(405, "method_not_allowed", "this address does not take this method");
    response.headers.emplace_back("Allow", match.allow);
    return response;
  }
  const bool guarded = match.route->guard == Guard::guarded;
  if (auto admitted = app.access->admit(request, guarded); !admitted) {
    const Error& error = admitted.error();
    HttpResponse response =
        error_response(error.code == Errc::denied ? 401 : 403, "denied", error.message);
    if (error.code == Errc::denied) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  if (framing.chunked)
    return error_response(411, "length_required", "send Content-Length; chunks are not taken");
  const bool needs_body = match.route->payload == Payload::upload;
  if (needs_body && !framing.content_length)
    return error_response(411, "length_required", "this address needs a body with Content-Length");
  return std::nullopt;
}

// Reserves the body's memory, or says why not.
Result<Body> admit_body(App& app, const Route& route, std::uint64_t length) {
  // Base64 in JSON takes a third more, multipart a little.
  const Bytes most = route.payload == Payload::upload  ? app.options.max_upload / 3 * 4 + kSmallBody
                     : route.payload == Payload::small ? kSmallBody
                                                       : 0;
  if (length > most)
    return fail(Errc::too_large, "the body is too large (", length, " bytes, ", most, ")");
  // Waiting uploads may not take what the running ones need to be finished.
  const Bytes share = std::max<Bytes>(app.ledger.limit() / 8, 1 << 20);
  const Bytes held = app.ledger.reserved(Category::bodies);
  if (held != 0 && held + length > std::max(share, most)) {
    auto error = fail(Errc::no_memory, "too many uploads at once (", held, " bytes held, ", length,
                      " more)");
    error.value().needed = length;
    error.value().available = held < share ? share - held : 0;
    return error;
  }
  return Body::reserve(app.ledger, static_cast<std::size_t>(length));
}

Clock::time_point deadline_of(const App& app, const HttpRequest& request) {
  auto limit = app.options.deadline;
  if (const auto text = request.parameter("deadline_ms")) {
    std::uint32_t wanted = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), wanted);
    if (error == std::errc() && end == text->data() + text->size())
      limit = std::min(limit, std::chrono::milliseconds(wanted));
  }
  return Clock::now() + limit;
}

// Reads and answers one request whose header is there. Absent: the client has gone.
awaitable<std::optional<HttpResponse>> respond(Shared connection,
                                               std::shared_ptr<HttpRequest> request,
                                               Framing framing) {
  App& app = *connection->app;
  const std::uint64_t length = framing.content_length.value_or(0);
  connection->unread = length > connection->buffer.size() || framing.chunked;
  if (auto refusal = check_head(app, *request, framing)) co_return std::move(refusal);
  auto body = admit_body(app, *request->route, length);
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
  request->deadline = deadline_of(app, *request);
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
  const bool written = co_await write_all(connection, head, response, with_body);
  const double ms = milliseconds_since(start);
  app.metrics.request(request->route != nullptr ? request->route->pattern : "-", response->status,
                      ms / 1000);
  log_request(app, *request, response->status, with_body ? size : 0, ms);
  if (written && !go_on) co_await linger(connection);
  co_return written&& go_on;
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

// One request and its answer; true where another may follow.
awaitable<bool> serve_one(Shared connection, bool first) {
  App& app = *connection->app;
  connection->waiting = true;
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
    app.metrics.request(request->route != nullptr ? request->route->pattern : "-", 499,
                        milliseconds_since(start) / 1000);
    log_request(app, *request, 499, 0, milliseconds_since(start));
    co_return false;
  }
  if (response->status == 200 && request->route != nullptr &&
      request->route->room == Room::events && request->method == Method::get) {
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
  auto hold = app->ledger.reserve(Category::bodies, kConnectionBytes);
  if (!hold) co_return;
  connection->hold = std::move(*hold);
  try {
    for (bool first = true; co_await serve_one(connection, first); first = false)
      connection->buffer.shrink_to_fit();
  } catch (const std::bad_alloc&) {
    log(LogLevel::warning, "out of memory on a connection, which was closed");
  } catch (const std::exception& error) {
    log(LogLevel::error, error.what());
  }
}

}  // namespace dermlens::server
