// Requests and responses as values; the request's target is taken apart by Boost.URL.
#include "server/message.h"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace dermlens::server {
namespace {

constexpr std::size_t kMaxParameters = 64;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The quality (in thousandths) that an Accept header gives to type/subtype, or Accept-Encoding to a
// coding; the most specific range decides.
int quality(std::string_view accept, std::string_view type) {
  int best = 0;
  int best_rank = -1;
  const std::string_view family = type.substr(0, type.find('/') + 1);
  while (!accept.empty()) {
    const std::size_t comma = accept.find(',');
    std::string_view item = trimmed(accept.substr(0, comma));
    accept.remove_prefix(comma == std::string_view::npos ? accept.size() : comma + 1);
    const std::size_t semicolon = item.find(';');
    const std::string_view range = trimmed(item.substr(0, semicolon));
    int rank = -1;
    if (range == type)
      rank = 2;
    else if (range.ends_with("/*") && range.substr(0, range.size() - 1) == family)
      rank = 1;
    else if (range == "*/*" || range == "*")
      rank = 0;
    if (rank <= best_rank) continue;
    int value = 1000;
    if (const std::size_t q = item.find("q=");
        semicolon != std::string_view::npos && q != std::string_view::npos && q > semicolon) {
      const std::string_view number = item.substr(q + 2);
      if (number.starts_with('0')) {
        value = 0;
        int scale = 100;
        for (std::size_t i = 2; i < number.size() && i < 5; ++i) {
          if (number[1] != '.' || number[i] < '0' || number[i] > '9') break;
          value += (number[i] - '0') * scale;
          scale /= 10;
        }
      }
    }
    best = value;
    best_rank = rank;
  }
  return best;
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::del:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
    case Method::other:
      return "other";
  }
  return "other";
}

Result<Body> Body::reserve(Ledger& ledger, std::size_t size, Reservation&& share) {
  Body body;
  if (size == 0) return body;
  TRY(body.hold_, ledger.reserve(Category::bodies, size));
  body.share_ = std::move(share);
  body.bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
  body.size_ = size;
  return body;
}

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

std::optional<std::string_view> HttpRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return std::nullopt;
}

std::string HttpRequest::media_type() const {
  const std::string_view type = header("content-type");
  return lower_case(trimmed(type.substr(0, type.find(';'))));
}

std::string_view HttpRequest::cookie(std::string_view name) const {
  std::string_view rest = header("cookie");
  while (!rest.empty()) {
    const std::size_t end = rest.find(';');
    const std::string_view pair = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return {};
}

bool HttpRequest::prefers_html() const {
  const std::string_view accept = header("accept");
  return quality(accept, "text/html") > quality(accept, "application/json");
}

bool HttpRequest::accepts_gzip() const { return quality(header("accept-encoding"), "gzip") > 0; }

bool HttpRequest::prefers_json() const {
  const std::string_view accept = header("accept");
  return quality(accept, "application/json") > quality(accept, "text/html");
}

Result<Target> parse_target(std::string_view text) {
  Target target;
  const bool absolute = text.starts_with("http://") || text.starts_with("https://");
  const auto parsed = absolute ? boost::urls::parse_uri(boost::urls::string_view(text))
                               : boost::urls::parse_origin_form(boost::urls::string_view(text));
  if (!parsed || parsed->has_fragment() || parsed->has_userinfo())
    return fail(Errc::malformed, "the request's target is not a path with a query");
  if (absolute) target.host = std::string(parsed->encoded_host_and_port());
  target.path = parsed->path();
  if (target.path.empty()) target.path.push_back('/');
  if (target.path.find('\0') != std::string::npos)
    return fail(Errc::malformed, "the request's target holds a NUL");
  if (target.path.starts_with("//"))
    return fail(Errc::malformed, "the request's target begins with two slashes");
  const auto parameters = parsed->params();
  if (parameters.size() > kMaxParameters)
    return fail(Errc::too_large, "too many query parameters (", parameters.size(), ", ",
                kMaxParameters, ")");
  for (const auto& parameter : parameters)
    target.query.emplace_back(parameter.key, parameter.value);
  return target;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain || kept.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    ((out += '%') += kDigits[byte >> 4]) += kDigits[byte & 15U];
  }
  return out;
}

}  // namespace dermlens::server
