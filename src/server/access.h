// Who may ask: bearer tokens from a file, a login that turns one into a cookie, and the Origin of
// requests that change something. Without tokens everybody is let in, but foreign pages still are
// not.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/message.h"

namespace dermlens::server {

// Compares in time that depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

// Any thread.
class Access {
 public:
  // `token_file`: one token a line, at least 16 printable characters each, '#' begins a comment;
  // empty path: no tokens. `host`: the address that is listened on. Where it is of this machine
  // only and there are no tokens, that is all the protection there is, and requests must call us by
  // a name of this machine: a foreign page whose name leads here all of a sudden does not. Fails
  // with usage (no such file) or malformed.
  static Result<std::unique_ptr<Access>> open(const std::string& token_file,
                                              std::string cors_origin, const std::string& host);

  bool required() const { return !tokens_.empty(); }

  // Whether the Host field of a request may be ours.
  bool knows_host(std::string_view host) const;

  // Sets the request's identity. Fails with denied where the route is guarded and nobody vouches
  // for the request, and with refused (403) where a foreign page is behind it.
  Result<void> admit(HttpRequest& request, bool guarded) const;

  // A new session's cookie value for a right token. Fails with denied for a wrong one and with busy
  // (429) after ten wrong ones from one address within a minute. A right one is always taken:
  // behind a proxy everybody has one address.
  Result<std::string> login(std::string_view token, const std::string& peer);
  void logout(std::string_view session);

  // The value of Access-Control-Allow-Origin for this Origin, or empty.
  std::string_view cors_origin_for(std::string_view origin) const;

  static constexpr std::chrono::hours kSessionLife{12};

 private:
  explicit Access(std::string cors_origin) : cors_origin_(std::move(cors_origin)) {}
  bool knows_token(std::string_view token) const;
  bool knows_session(std::string_view session) const;
  bool own_origin(const HttpRequest& request, std::string_view origin) const;

  struct Failures {
    int count = 0;
    Clock::time_point since;
  };

  std::vector<std::string> tokens_;
  std::string cors_origin_;
  std::vector<std::string> hosts_;  // without ports; empty: any
  mutable std::mutex mutex_;
  std::map<std::string, Clock::time_point, std::less<>> sessions_;  // to their end
  std::map<std::string, Failures> failures_;                        // by address
};

}  // namespace dermlens::server
