// What a request must pass before its body is read: a route that takes it, someone who may ask, a
// length, and room. On the I/O thread; nothing here waits.
#pragma once

#include <optional>

#include "server/app.h"
#include "server/wire.h"

namespace dermlens::server {

// The largest body a route takes: an upload with room for base64 or multipart, or little, or none.
Bytes most_body(const Options& options, Payload payload);

// Finds the request's route and fills in route, captures and identity. The refusal of a request
// whose body need not be read, if there is one.
std::optional<HttpResponse> check_head(App& app, HttpRequest& request, const Framing& framing);

// What a body takes of the uploads' share; only uploads take any. Fails with too_large, or with
// no_memory where the uploads under way leave no room for this one.
Result<Reservation> admit_body(App& app, const Route& route, std::uint64_t length);

// When nobody wants the answer any more: --deadline, or sooner where the query says so.
Clock::time_point deadline_of(const Options& options, const HttpRequest& request);

}  // namespace dermlens::server
