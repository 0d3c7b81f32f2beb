// Strict about what frames a message (lengths, encodings, versions), indifferent about the rest.
#include "server/wire.h"

#include <algorithm>
#include <array>
#include <boost/beast/http/verb.hpp>
#include <charconv>
#include <ctime>
#include <iterator>

#include "server/errors.h"

namespace dermlens::server {
namespace {

namespace http = boost::beast::http;

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::get;
    case http::verb::head:
      return Method::head;
    case http::verb::post:
      return Method::post;
    case http::verb::delete_:
      return Method::del;
    case http::verb::options:
      return Method::options;
    default:
      return Method::other;
  }
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

Header refuse(Header header, unsigned status, std::string_view sentence) {
  header.status = status;
  header.refusal = sentence;
  return header;
}

// Beast has checked the number itself; what is left is a field that comes twice.
bool read_length(const HeaderParser& parser, Framing& framing) {
  const auto& fields = parser.get();
  const auto range = fields.equal_range(http::field::content_length);
  if (range.first == range.second) return true;
  if (std::next(range.first) != range.second) return false;
  const std::string_view text = view(range.first->value());
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  framing.content_length = length;
  return true;
}

std::string date() {
  // The C library's names of days follow the locale, HTTP's do not.
  static constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed",
                                                    "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02d %s %d %02d:%02d:%02d GMT",
                kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                utc.tm_min, utc.tm_sec);
  return text.data();
}

constexpr std::string_view kPolicy =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    // Not no-referrer: browsers would then send "Origin: null" with our own forms.
    "Referrer-Policy: same-origin\r\n"
    "Permissions-Policy: camera=(self), microphone=(), geolocation=()\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n";

}  // namespace

Header read_header(const HeaderParser& parser) {
  const auto& message = parser.get();
  Header header;
  header.request = std::make_shared<HttpRequest>();
  HttpRequest& request = *header.request;
  header.framing.keep_alive = message.keep_alive();
  header.framing.chunked = message.count(http::field::transfer_encoding) > 0;
  request.method = method_of(message.method());
  if (message.version() != 11 && message.version() != 10)
    return refuse(std::move(header), 505, "only HTTP/1.0 and 1.1 are spoken here");
  std::size_t count = 0;
  for (const auto& field : message) {
    if (++count > kMaxFields) return refuse(std::move(header), 431, "too many header fields");
    request.headers.emplace_back(lower_case(view(field.name_string())), std::string(field.value()));
  }
  if (!read_length(parser, header.framing))
    return refuse(std::move(header), 400, "Content-Length is not one number");
  if (message.version() == 11 && message.count(http::field::host) != 1)
    return refuse(std::move(header), 400, "HTTP/1.1 needs one Host field");
  if (const std::string expect = lower_case(request.header("expect")); expect == "100-continue")
    header.framing.expects_continue = message.version() == 11;
  else if (!expect.empty())
    return refuse(std::move(header), 417, "only 100-continue can be expected");
  auto target = parse_target(view(message.target()));
  if (!target) return refuse(std::move(header), 400, target.error().message);
  if (!target->host.empty())
    for (auto& [name, value] : request.headers)
      if (name == "host") value = target->host;
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  return header;
}

std::string write_header(const HttpResponse& response, std::optional<std::size_t> length,
                         bool keep_alive, std::string_view cors_origin) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " ";
  out += reason_phrase(response.status);
  out += "\r\nServer: dermlens\r\nDate: " + date() + "\r\n";
  out += kPolicy;
  if (!response.content_type.empty() && response.status != 204 && response.status != 304)
    out += "Content-Type: " + response.content_type + "\r\n";
  if (length && response.status != 204 && response.status != 304)
    out += "Content-Length: " + std::to_string(*length) + "\r\n";
  bool cached = false;
  for (const auto& [name, value] : response.headers) {
    (out += name) += ": ";
    // A value may hold what a client sent; it shall not end its line.
    std::copy_if(value.begin(), value.end(), std::back_inserter(out),
                 [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
    out += "\r\n";
    cached = cached || name == "Cache-Control";
  }
  if (!cached) out += "Cache-Control: no-store\r\n";
  if (!cors_origin.empty())
    (out += "Access-Control-Allow-Origin: ") +=
        std::string(cors_origin) +
        "\r\nVary: Origin\r\nAccess-Control-Expose-Headers: "
        "Inference-Header-Content-Length, Retry-After\r\n";
  else
    out += "Cross-Origin-Resource-Policy: same-origin\r\n";
  out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return out;
}

}  // namespace dermlens::server
