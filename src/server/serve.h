// The server as one call.
#pragma once

#include "base/result.h"
#include "server/options.h"

namespace dermlens::server {

// Serves until SIGTERM or SIGINT, then finishes what runs (for `deadline` at most) and returns.
// Fails at once, before anything is served, with usage (host, port), io (bind, token file,
// history), not_found (model) or malformed (token file, web files). Call it once a process, from
// the main thread, after pin_allocator().
Result<void> serve(const Options& options);

}  // namespace dermlens::server
