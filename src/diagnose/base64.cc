#include "diagnose/base64.h"

#include <array>
#include <cstdint>

namespace dermlens::diagnose {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xFF;

constexpr std::array<std::uint8_t, 256> digits() {
  std::array<std::uint8_t, 256> table{};
  table.fill(kNoDigit);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return table;
}
constexpr std::array<std::uint8_t, 256> kDigits = digits();

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  char* out = text.data();
  const auto at = [bytes](std::size_t i) -> std::uint32_t {
    return static_cast<unsigned char>(bytes[i]);
  };
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3, out += 4) {
    const std::uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    out[0] = kAlphabet[group >> 18];
    out[1] = kAlphabet[group >> 12 & 63];
    out[2] = kAlphabet[group >> 6 & 63];
    out[3] = kAlphabet[group & 63];
  }
  if (i == bytes.size()) return text;
  const std::uint32_t rest = at(i) << 16 | (i + 1 < bytes.size() ? at(i + 1) << 8 : 0);
  out[0] = kAlphabet[rest >> 18];
  out[1] = kAlphabet[rest >> 12 & 63];
  if (i + 1 < bytes.size()) out[2] = kAlphabet[rest >> 6 & 63];
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  const auto bad = [](std::size_t where) {
    return fail(Errc::malformed, "not base64 (at character ", where, ")");
  };
  if (text.size() % 4 != 0) return bad(text.size());
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool pad = i + padding >= text.size();
    const std::uint8_t digit = pad ? 0 : kDigits[static_cast<unsigned char>(text[i])];
    if (digit == kNoDigit) return bad(i);
    group = group << 6 | digit;
    if (i % 4 != 3) continue;
    const std::size_t missing = i + 1 == text.size() ? padding : 0;
    if ((missing == 1 && (group & 0xFFU) != 0) || (missing == 2 && (group & 0xFFFFU) != 0))
      return bad(i);
    for (std::size_t j = 0; j + missing < 3; ++j)
      bytes += static_cast<char>(group >> (16 - 8 * j) & 0xFFU);
    group = 0;
  }
  return bytes;
}

}  // namespace dermlens::diagnose
