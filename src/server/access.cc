// Tokens, sessions and origins.
#include "server/access.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <fstream>

#include "diagnose/identifier.h"

namespace dermlens::server {
namespace {

constexpr std::size_t kMaxTokens = 64;
constexpr std::size_t kMinTokenLength = 16;
constexpr std::size_t kMaxTokenLength = 512;
constexpr std::size_t kMaxSessions = 1024;
constexpr std::size_t kMaxAddresses = 4096;
constexpr int kMaxFailures = 10;
constexpr std::chrono::minutes kFailureWindow{1};

bool is_loopback(const std::string& host) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  return host == "localhost" || (!error && address.is_loopback());
}

// Of "https://name:8000"; an address of IPv6 gets its brackets.
std::string authority_of(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  if (scheme != std::string_view::npos) return std::string(origin.substr(scheme + 3));
  const bool bare = origin.find(':') != std::string_view::npos;
  return bare ? "[" + std::string(origin) + "]" : std::string(origin);
}

std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos) return host;
  const std::size_t other = host.find_first_not_of("0123456789", colon + 1);
  return other == std::string_view::npos ? host.substr(0, colon) : host;
}

bool changes_state(Method method) { return method == Method::post || method == Method::del; }

}  // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0U : 1U;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto other = b.empty() ? '\0' : b[i % b.size()];
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

Result<std::unique_ptr<Access>> Access::open(const std::string& token_file, std::string cors_origin,
                                             const std::string& host) {
  std::unique_ptr<Access> access(new Access(std::move(cors_origin)));
  if (token_file.empty()) {
    const std::string& friendly = access->cors_origin_;
    if (!is_loopback(host) || friendly == "*") return access;
    access->hosts_ = {"localhost", "127.0.0.1", "[::1]", authority_of(host)};
    if (!friendly.empty())
      access->hosts_.push_back(lower_case(without_port(authority_of(friendly))));
    return access;
  }
  std::ifstream file(token_file);
  if (!file) return fail(Errc::usage, "cannot read the token file (", token_file, ")");
  std::string line;
  while (std::getline(file, line)) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    if (line.size() < kMinTokenLength || line.size() > kMaxTokenLength)
      return fail(Errc::malformed, "a token in the token file is too short or too long (",
                  line.size(), " characters, ", kMinTokenLength, " to ", kMaxTokenLength, ", ",
                  token_file, ")");
    for (const char c : line)
      if (c <= ' ' || c > '~')
        return fail(Errc::malformed, "a token holds blanks or foreign characters (", token_file,
                    ")");
    if (access->tokens_.size() == kMaxTokens)
      return fail(Errc::too_large, "too many tokens (", kMaxTokens, ", ", token_file, ")");
    access->tokens_.push_back(line);
  }
  if (access->tokens_.empty())
    return fail(Errc::malformed, "the token file holds no token (", token_file, ")");
  return access;
}

bool Access::knows_token(std::string_view token) const {
  bool known = false;
  for (const std::string& candidate : tokens_)
    known = equal_in_constant_time(token, candidate) || known;
  return known;
}

bool Access::knows_session(std::string_view session) const {
  if (session.empty()) return false;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  bool known = false;
  for (const auto& [id, end] : sessions_)
    known = (equal_in_constant_time(session, id) && end > now) || known;
  return known;
}

bool Access::knows_host(std::string_view host) const {
  if (hosts_.empty() || host.empty()) return true;  // HTTP/1.0: no browser
  return std::find(hosts_.begin(), hosts_.end(), lower_case(without_port(host))) != hosts_.end();
}

bool Access::own_origin(const HttpRequest& request, std::string_view origin) const {
  if (!cors_origin_.empty() && (cors_origin_ == "*" || origin == cors_origin_)) return true;
  const std::size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && origin.substr(scheme + 3) == request.header("host");
}

Result<void> Access::admit(HttpRequest& request, bool guarded) const {
  request.identity = Identity::anonymous;
  const std::string_view authorization = request.header("authorization");
  if (authorization.starts_with("Bearer ") && knows_token(authorization.substr(7)))
    request.identity = Identity::bearer;
  else if (required() && knows_session(request.cookie("dermlens_session")))
    request.identity = Identity::cookie;
  if (guarded && required() && request.identity == Identity::anonymous)
    return fail(Errc::denied, "a token is needed (Authorization: Bearer, or /login)");
  // A browser tells which page is behind a request; a token in a header no foreign page can add.
  if (!changes_state(request.method) || request.identity == Identity::bearer) return {};
  const std::string_view origin = request.header("origin");
  if (origin.empty() && request.identity != Identity::cookie) return {};
  if (!own_origin(request, origin))
    return fail(Errc::refused, "a page of another origin may not do this (", origin, ")");
  return {};
}

Result<std::string> Access::login(std::string_view token, const std::string& peer) {
  const bool right = knows_token(token);
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (failures_.size() >= kMaxAddresses)
    std::erase_if(failures_,
                  [now](const auto& entry) { return entry.second.since + kFailureWindow <= now; });
  if (failures_.size() >= kMaxAddresses) failures_.clear();
  Failures& failures = failures_[peer];
  if (failures.since + kFailureWindow <= now) failures = {0, now};
  if (!right && failures.count >= kMaxFailures)
    return fail(Errc::busy, "too many wrong tokens (", kMaxFailures, " a minute)");
  if (!right) {
    ++failures.count;
    return fail(Errc::denied, "this token is not known");
  }
  std::erase_if(sessions_, [now](const auto& entry) { return entry.second <= now; });
  if (sessions_.size() >= kMaxSessions) sessions_.erase(sessions_.begin());
  TRY(std::string session, diagnose::random_identifier());
  TRY(const std::string more, diagnose::random_identifier());
  session += more;
  sessions_[session] = now + kSessionLife;
  return session;
}

void Access::logout(std::string_view session) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(session);
  if (found != sessions_.end()) sessions_.erase(found);
}

std::string_view Access::cors_origin_for(std::string_view origin) const {
  if (cors_origin_.empty() || origin.empty()) return {};
  return cors_origin_ == "*" || origin == cors_origin_ ? std::string_view(cors_origin_)
                                                       : std::string_view();
}

}  // namespace dermlens::server
