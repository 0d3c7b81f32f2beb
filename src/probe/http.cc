// The blocking face of a channel.
#include "probe/http.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <exception>
#include <optional>

#include "probe/channel.h"

namespace dermlens::probe {

Result<Endpoint> parse_endpoint(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (url.find("://") == std::string_view::npos || url.size() > 2048)
    return fail(Errc::usage, "not a URL ('", url.substr(0, 80), "', http://host:port)");
  if (!url.starts_with(kScheme))
    return fail(Errc::usage, "only plain http is spoken ('", url.substr(0, 80),
                "', http://host:port)");
  std::string_view rest = url.substr(kScheme.size());
  if (const std::size_t end = rest.find_first_of("/?#"); end != std::string_view::npos) {
    if (rest.substr(end) != "/")
      return fail(Errc::usage, "a path is not taken ('", rest.substr(end, 80),
                  "', http://host:port)");
    rest.remove_suffix(1);
  }
  Endpoint endpoint{"", "80"};
  const bool bracketed = rest.starts_with('[');
  const std::size_t end_of_host = bracketed ? rest.find(']') : rest.rfind(':');
  if (bracketed && end_of_host == std::string_view::npos)
    return fail(Errc::usage, "not a host ('", rest, "')");
  endpoint.host = bracketed ? rest.substr(1, end_of_host - 1) : rest.substr(0, end_of_host);
  std::string_view port;
  if (end_of_host != std::string_view::npos) port = rest.substr(end_of_host + (bracketed ? 1 : 0));
  if (!port.empty()) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), number);
    if (port.front() != ':' || error != std::errc() || end != port.data() + port.size() ||
        number == 0 || number > 65535)
      return fail(Errc::usage, "not a port ('", rest, "')");
    endpoint.port = std::to_string(number);
  }
  if (endpoint.host.empty() || endpoint.host.find_first_of("@ \r\n") != std::string::npos)
    return fail(Errc::usage, "not a host ('", rest, "')");
  return endpoint;
}

std::string_view Reply::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

struct HttpClient::State {
  State(Endpoint endpoint, std::vector<Header> always)
      : channel(io, std::move(endpoint), std::move(always)) {}
  boost::asio::io_context io{1};
  Channel channel;
};

HttpClient::HttpClient(Endpoint endpoint, std::vector<Header> always)
    : state_(std::make_unique<State>(std::move(endpoint), std::move(always))) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<Reply> HttpClient::send(const Request& request, std::chrono::milliseconds timeout) {
  std::optional<Result<Reply>> outcome;
  std::exception_ptr thrown;
  boost::asio::co_spawn(state_->io, state_->channel.exchange(request, timeout),
                        [&](const std::exception_ptr& error, Result<Reply> reply) {
                          thrown = error;
                          if (!error) outcome.emplace(std::move(reply));
                        });
  state_->io.restart();
  state_->io.run();
  if (thrown || !outcome) return fail(Errc::no_memory, "the exchange found no memory");
  return std::move(*outcome);
}

Result<Reply> HttpClient::get(std::string target) {
  Request request;
  request.target = std::move(target);
  return send(request);
}

Result<Reply> HttpClient::post(std::string target, std::string content_type,
                               std::string_view body) {
  Request request;
  request.method = "POST";
  request.target = std::move(target);
  request.content_type = std::move(content_type);
  request.body = body;
  return send(request);
}

}  // namespace dermlens::probe
