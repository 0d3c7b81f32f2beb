// Refusals in the order in which they tell a client most.
#include "server/intake.h"

#include <algorithm>
#include <charconv>

#include "server/errors.h"

namespace dermlens::server {
namespace {

constexpr Bytes kSmallBody = 64 * 1024;

}  // namespace

Bytes most_body(const Options& options, Payload payload) {
  switch (payload) {
    case Payload::upload:
      // Base64 in JSON takes a third more, multipart a little.
      return options.max_upload / 3 * 4 + kSmallBody;
    case Payload::small:
      return kSmallBody;
    case Payload::none:
      break;
  }
  return 0;
}

std::optional<HttpResponse> check_head(App& app, HttpRequest& request, const Framing& framing) {
  if (!app.access->knows_host(request.header("host")))
    return error_response(421, "misdirected",
                          "without a token file this server answers to names of its own machine "
                          "only (localhost), not to what the Host field says");
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
      response.headers.emplace_back("Access-Control-Allow-Headers",
                                    "Authorization, Content-Type, Inference-Header-Content-Length");
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
  if (const auto ticket = request.parameter("ticket"); ticket && !is_ticket_name(*ticket))
    return error_response(400, "usage",
                          "parameter 'ticket' takes 1 to 64 letters, digits, '-' and '_'");
  if (framing.chunked)
    return error_response(411, "length_required", "send Content-Length; chunks are not taken");
  const bool needs_body = match.route->payload == Payload::upload;
  if (needs_body && !framing.content_length)
    return error_response(411, "length_required", "this address needs a body with Content-Length");
  return std::nullopt;
}

Result<Reservation> admit_body(App& app, const Route& route, std::uint64_t length) {
  const Bytes most = most_body(app.options, route.payload);
  if (length > most)
    return fail(Errc::too_large, "the body is too large (", length, " bytes, ", most, ")");
  if (route.payload != Payload::upload || length == 0) return Reservation();
  auto share = app.uploads.reserve(Category::bodies, length);
  if (!share) return within("too many uploads at once", std::move(share).error());
  return share;
}

Clock::time_point deadline_of(const Options& options, const HttpRequest& request) {
  auto limit = options.deadline;
  if (const auto text = request.parameter("deadline_ms")) {
    std::uint32_t wanted = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), wanted);
    if (error == std::errc() && end == text->data() + text->size())
      limit = std::min(limit, std::chrono::milliseconds(wanted));
  }
  return Clock::now() + limit;
}

}  // namespace dermlens::server
