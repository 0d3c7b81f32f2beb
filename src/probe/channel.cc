// Connect, write, read; every wait under the exchange's one deadline.
#include "probe/channel.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cctype>

namespace dermlens::probe {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
using Clock = std::chrono::steady_clock;

tl::unexpected<Error> failure(std::string_view what, const boost::system::error_code& error) {
  Errc code = Errc::io;
  if (error == beast::error::timeout) code = Errc::deadline;
  if (error == http::error::body_limit) code = Errc::too_large;
  if (error.category() == http::make_error_code(http::error::bad_version).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message &&
      error != http::error::body_limit)
    code = Errc::malformed;
  return fail(code, what, " (", error.message(), ")");
}

http::request<http::span_body<const char>> to_message(const Request& request,
                                                      const Endpoint& endpoint,
                                                      const std::vector<Header>& always) {
  http::request<http::span_body<const char>> message;
  message.version(11);
  message.method_string(request.method);
  message.target(request.target);
  const bool brackets = endpoint.host.find(':') != std::string::npos;  // an address of IPv6
  message.set(http::field::host,
              (brackets ? "[" + endpoint.host + "]" : endpoint.host) + ":" + endpoint.port);
  message.set(http::field::user_agent, "dermlens-probe");
  for (const auto* headers : {&always, &request.headers})
    for (const auto& [name, value] : *headers) message.set(name, value);
  if (!request.content_type.empty()) message.set(http::field::content_type, request.content_type);
  message.body() = {request.body.data(), request.body.size()};
  if (!request.body.empty() || request.method == "POST")
    message.content_length(request.body.size());
  return message;
}

Reply to_reply(http::response<http::string_body> message) {
  Reply reply;
  reply.status = message.result_int();
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    reply.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  reply.body = std::move(message.body());
  return reply;
}

}  // namespace

Channel::Channel(asio::io_context& io, Endpoint endpoint, std::vector<Header> always)
    : endpoint_(std::move(endpoint)), always_(std::move(always)), stream_(io) {}

asio::awaitable<Result<void>> Channel::connect() {
  const std::string place = endpoint_.host + ":" + endpoint_.port;
  tcp::resolver resolver(stream_.get_executor());
  auto [unknown, addresses] =
      co_await resolver.async_resolve(endpoint_.host, endpoint_.port, kTuple);
  if (unknown) co_return failure("no address for " + place, unknown);
  auto [error, address] = co_await stream_.async_connect(addresses, kTuple);
  if (error) co_return failure("cannot connect to " + place, error);
  boost::system::error_code ignored;
  stream_.socket().set_option(tcp::no_delay(true), ignored);
  buffer_.clear();
  open_ = true;
  used_ = false;
  co_return Result<void>();
}

asio::awaitable<Result<Reply>> Channel::attempt(const Request& request) {
  const auto start = Clock::now();
  auto message = to_message(request, endpoint_, always_);
  auto [unsent, sent] = co_await http::async_write(stream_, message, kTuple);
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMostAnswerBytes);
  if (request.method == "HEAD") parser.skip(true);
  // A server that refuses a body closes early; what it said is still to be read.
  auto [unread, received] = co_await http::async_read(stream_, buffer_, parser, kTuple);
  if (unread) {
    const bool before_any_byte = !parser.got_some();
    open_ = false;
    stream_.close();
    if (used_ && before_any_byte && unread != beast::error::timeout)
      co_return fail(Errc::busy, "the kept connection was closed");
    co_return unsent&& before_any_byte ? failure("the request was cut off", unsent)
                                       : failure("no whole answer", unread);
  }
  used_ = true;
  if (unsent || !parser.keep_alive()) {
    open_ = false;
    stream_.close();
  }
  Reply reply = to_reply(parser.release());
  reply.milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  co_return reply;
}

asio::awaitable<Result<Reply>> Channel::exchange(Request request,
                                                 std::chrono::milliseconds timeout) {
  stream_.expires_after(timeout);
  for (int round = 0; round < 2; ++round) {
    if (!open_) {
      auto connected = co_await connect();
      if (!connected) co_return tl::make_unexpected(std::move(connected).error());
    }
    auto reply = co_await attempt(request);
    if (reply || reply.error().code != Errc::busy) co_return reply;
  }
  co_return fail(Errc::io, "the connection is closed again and again");
}

}  // namespace dermlens::probe
