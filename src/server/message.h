// A request and its response as handlers see them: plain values, no Beast, no sockets. Made by the
// connection, read by handlers on whatever thread the route's room is.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/result.h"
#include "memory/ledger.h"

namespace dermlens::server {

using Clock = std::chrono::steady_clock;

enum class Method { get, head, post, del, options, other };
std::string_view to_string(Method method);

// A request's body: bytes that were reserved before they were read.
class Body {
 public:
  Body() = default;
  // Reserves `size` bytes under Category::bodies. Fails as Ledger::reserve does, and then takes
  // nothing of `share`, which else is kept as long as the bytes are.
  static Result<Body> reserve(Ledger& ledger, std::size_t size, Reservation&& share = {});

  // Valid while the body lives and is not moved from.
  std::span<std::byte> bytes() { return {bytes_.get(), size_}; }
  ByteView view() const { return {bytes_.get(), size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.get()), size_}; }
  std::size_t size() const { return size_; }

 private:
  Reservation hold_;
  Reservation share_;
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
};

// Who asks: nobody in particular, the holder of a token, or a browser that has logged in.
enum class Identity { anonymous, bearer, cookie };

struct Route;

struct HttpRequest {
  Method method = Method::get;
  std::string path;                                          // percent-decoded
  std::vector<std::pair<std::string, std::string>> query;    // decoded
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::vector<std::string> captures;                         // of the route's pattern, in order
  const Route* route = nullptr;
  Body body;
  Identity identity = Identity::anonymous;
  std::string peer;            // the address, without the port
  Clock::time_point deadline;  // after which nobody wants the answer any more
  double queue_ms = 0;         // filled when a worker takes it up

  // The first value of a header (lower-case name) or query parameter; empty where there is none.
  // Valid while the request lives.
  std::string_view header(std::string_view name) const;
  std::optional<std::string_view> parameter(std::string_view name) const;
  // What Content-Type names, in lower case and without parameters: "image/jpeg".
  std::string media_type() const;
  // The value of a cookie; empty where there is none.
  std::string_view cookie(std::string_view name) const;
  // Whether Accept puts `type` ("text/html", "application/json") before the other one.
  bool prefers_html() const;
  bool prefers_json() const;
  // Whether Accept-Encoding takes gzip; where it says nothing of it, no.
  bool accepts_gzip() const;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // Borrowed bytes in place of `body`; `owner` keeps them alive (empty: they live as long as we).
  std::string_view view;
  std::shared_ptr<const void> owner;
  // What the body's bytes were reserved with; released when they are written.
  Reservation hold;
  // Empty text where the error carries none; for the page that a browser gets instead.
  std::string error_code;
  std::string error_message;

  std::string_view bytes() const { return view.data() != nullptr ? view : std::string_view(body); }
};

// A request's target, split and decoded. Fails with malformed where it is neither an absolute path
// with an optional query nor an http(s) URL of one, begins with two slashes (browsers take that for
// another host), holds a NUL, or breaks percent encoding; with too_large past 64 parameters.
struct Target {
  std::string host;  // of the absolute form; it counts in place of the field Host
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
};
Result<Target> parse_target(std::string_view text);

// A to Z as a to z; of the rest nothing changes.
std::string lower_case(std::string_view text);

// Percent-encodes whatever is neither a letter nor a digit nor in `kept`.
std::string percent_encoded(std::string_view text, std::string_view kept);

}  // namespace dermlens::server
