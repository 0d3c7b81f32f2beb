// Names of the error codes, and the end of a process that has found its own bug.
#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace dermlens {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::usage:
      return "usage";
    case Errc::malformed:
      return "malformed";
    case Errc::unsupported:
      return "unsupported";
    case Errc::not_found:
      return "not_found";
    case Errc::too_large:
      return "too_large";
    case Errc::over_limit:
      return "over_limit";
    case Errc::no_memory:
      return "memory_limit";
    case Errc::busy:
      return "busy";
    case Errc::deadline:
      return "deadline";
    case Errc::cancelled:
      return "cancelled";
    case Errc::refused:
      return "refused";
    case Errc::denied:
      return "denied";
    case Errc::io:
      return "io";
    case Errc::corrupt:
      return "corrupt";
    case Errc::internal:
      return "internal";
  }
  return "internal";
}

tl::unexpected<Error> within(std::string_view place, Error error) {
  error.message = std::string(place) + ": " + error.message;
  return tl::make_unexpected(std::move(error));
}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "dermlens: bug: %s does not hold (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace dermlens
