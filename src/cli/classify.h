// What `classify` and its stream share: one line of NDJSON for one photo.
#pragma once

#include <iosfwd>

#include "cli/engine.h"

namespace dermlens::cli {

// Reads NDJSON lines ({"id":..,"path":..} or {"id":..,"b64":..}) until the end of `in` and writes
// one line for each to `out`, in order and at once; a bad line gives an error object with the
// line's number and, where it could be read, its id. The longest line is bounded, and each is
// reserved (bodies) before it is read. Returns the worst exit code: 0, or that of the first
// failure.
int classify_stream(std::istream& in, std::ostream& out, Engine& engine,
                    const diagnose::Request& request);

}  // namespace dermlens::cli
