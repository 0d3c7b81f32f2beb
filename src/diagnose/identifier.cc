#include "diagnose/identifier.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace dermlens::diagnose {

Result<std::string> random_identifier() {
  std::array<unsigned char, 16> bytes{};
  // Up to 256 bytes come whole once the generator is seeded; before that a signal may interrupt.
  ssize_t got = -1;
  do {
    got = getrandom(bytes.data(), bytes.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(bytes.size()))
    return fail(Errc::io, "no random numbers (", std::strerror(errno), ", getrandom)");
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace dermlens::diagnose
