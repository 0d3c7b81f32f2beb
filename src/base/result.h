// Result<T>: a value or an Error. Every function that can fail because of input, memory or the
// operating system returns one; nothing in this project throws for such reasons.
// An Error is one of a few codes, on which callers decide (exit code, HTTP status), and one
// sentence that names the value, the limit and the place.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace dermlens {

using Bytes = std::uint64_t;

enum class Errc {
  usage,        // the caller asked for something that makes no sense
  malformed,    // the input breaks its own format
  unsupported,  // well-formed, but outside what we read or compute
  not_found,    // no such file, model, layer, class, result
  too_large,    // over a bound on bytes, pixels, dimensions, counts
  over_limit,   // can never fit under the memory limit
  no_memory,    // does not fit under the memory limit now, may later
  busy,         // the queue is full, or the model is loading
  deadline,     // the request's time is over
  cancelled,    // the client has gone away
  refused,      // a gate said no (not a photo the model knows)
  denied,       // not authenticated, or not allowed
  io,           // the operating system said no
  corrupt,      // a checksum or key does not match, or a file changed under us
  internal,     // our own bug
};

// The code's name as it appears in JSON ("malformed", "no_memory", ...).
std::string_view to_string(Errc code);

struct Error {
  Errc code = Errc::internal;
  std::string message;
  Bytes needed = 0;     // for over_limit and no_memory
  Bytes available = 0;  // for over_limit and no_memory

  // What must come free for it to fit: at least a byte, as some who refuse do not say how much.
  Bytes missing() const { return needed > available ? needed - available : 1; }
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

template <class... Parts>
tl::unexpected<Error> fail(Errc code, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return tl::make_unexpected(Error{code, std::move(text).str()});
}

// Puts `place` before the sentence of an error that passes through.
tl::unexpected<Error> within(std::string_view place, Error error);

// Ends the process with the expression and place: for our own bugs, never for input.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace dermlens

#define DERMLENS_CONCAT_INNER(a, b) a##b
#define DERMLENS_CONCAT(a, b) DERMLENS_CONCAT_INNER(a, b)
#define DERMLENS_TRY(result, declaration, ...)                        \
  auto&& result = (__VA_ARGS__);                                      \
  if (!result) return tl::make_unexpected(std::move(result).error()); \
  declaration = std::move(*result)

// TRY(const Bytes need, checked_mul(a, b)); declares `need`, or returns the error.
#define TRY(declaration, ...) \
  DERMLENS_TRY(DERMLENS_CONCAT(try_result_, __COUNTER__), declaration, __VA_ARGS__)

// TRY_VOID(verify(graph)); returns the error, if there is one.
#define TRY_VOID(...)                                          \
  do {                                                         \
    if (auto try_void = (__VA_ARGS__); !try_void)              \
      return tl::make_unexpected(std::move(try_void).error()); \
  } while (false)

#define CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::dermlens::check_failed(#expression, __FILE__, __LINE__))
