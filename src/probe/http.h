// A small HTTP/1.1 client for measuring: blocking, one connection kept alive, a deadline for every
// exchange and a bound on every answer. Nothing of Beast is seen outside of this folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace dermlens::probe {

// An answer with more bytes is refused.
inline constexpr std::size_t kMostAnswerBytes = std::size_t{64} << 20;

struct Endpoint {
  std::string host;
  std::string port;
};

// "http://host[:port]", with nothing or one slash behind it. Fails with usage.
Result<Endpoint> parse_endpoint(std::string_view url);

using Header = std::pair<std::string, std::string>;

// What is sent. `body` is borrowed: its bytes stay until the exchange is over.
struct Request {
  std::string method = "GET";
  std::string target = "/";
  std::string content_type;  // of the body; empty with a body of no bytes
  std::string_view body;
  std::vector<Header> headers;
};

struct Reply {
  unsigned status = 0;
  std::vector<Header> headers;  // names in lower case
  std::string body;
  double milliseconds = 0;  // from the first byte sent to the last one read

  // The first value of a header (lower-case name); empty where there is none.
  std::string_view header(std::string_view name) const;
};

// One thread at a time. Connects when first needed, and again where the server has closed.
class HttpClient {
 public:
  // `always` goes with every request (Authorization).
  explicit HttpClient(Endpoint endpoint, std::vector<Header> always = {});
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  // Fails with io (cannot connect, cut off), deadline, malformed (not HTTP) or too_large. A status
  // is not a failure.
  Result<Reply> send(const Request& request,
                     std::chrono::milliseconds timeout = std::chrono::seconds(60));
  Result<Reply> get(std::string target);
  Result<Reply> post(std::string target, std::string content_type, std::string_view body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dermlens::probe
