// getrandom(2); never a generator of our own.
#include "server/random_id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "base/result.h"

namespace dermlens::server {

std::string random_hex(std::size_t bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, 64> noise{};
  CHECK(bytes <= noise.size());
  // Up to 256 bytes come whole or not at all once the pool is ready.
  CHECK(::getrandom(noise.data(), bytes, 0) == static_cast<ssize_t>(bytes));
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) {
    text += kDigits[noise[i] >> 4];
    text += kDigits[noise[i] & 15U];
  }
  return text;
}

bool is_result_id(std::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace dermlens::server
