// The one table from our errors to HTTP: which status an Errc is, what the body of an error says.
#pragma once

#include "base/result.h"
#include "server/message.h"

namespace dermlens::server {

// Where an error comes from: what the client sent, or the model that should serve it. A request
// that can never fit is 413, a model that can never fit 507.
enum class Blame { request, model };

unsigned http_status(Errc code, Blame blame = Blame::request);

// {"error":"...","code":"..."}, with needed_bytes and free_bytes where memory is short and
// Retry-After where trying again makes sense.
HttpResponse error_response(const Error& error, Blame blame = Blame::request);

// The same for statuses that no Errc stands for (405, 408, 411, 429, 431).
HttpResponse error_response(unsigned status, std::string_view code, std::string_view message);

// "Not Found" for 404.
std::string_view reason_phrase(unsigned status);

inline constexpr std::string_view kRetryAfterSeconds = "2";

}  // namespace dermlens::server
