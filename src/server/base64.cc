// Base64 by table; in place where the caller wants that, since output never overtakes input.
#include "server/base64.h"

#include <array>
#include <cstdint>

namespace dermlens::server {
namespace {

constexpr std::uint8_t kBad = 0xff;
constexpr std::uint8_t kSkip = 0xfe;

constexpr std::array<std::uint8_t, 256> make_table() {
  std::array<std::uint8_t, 256> table{};
  for (auto& entry : table) entry = kBad;
  for (std::uint8_t i = 0; i < 26; ++i) {
    table['A' + i] = i;
    table['a' + i] = static_cast<std::uint8_t>(26 + i);
  }
  for (std::uint8_t i = 0; i < 10; ++i) table['0' + i] = static_cast<std::uint8_t>(52 + i);
  table['+'] = table['-'] = 62;
  table['/'] = table['_'] = 63;
  table['\r'] = table['\n'] = kSkip;
  return table;
}
constexpr auto kTable = make_table();

}  // namespace

std::size_t decoded_bound(std::string_view text) { return text.size() / 4 * 3 + 3; }

Result<std::size_t> decode_base64(std::string_view text, std::span<std::byte> out) {
  std::size_t end = text.size();
  std::size_t padding = 0;
  while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r')) --end;
  while (end > 0 && text[end - 1] == '=' && padding < 2) --end, ++padding;
  std::size_t written = 0;
  std::uint32_t bits = 0;
  std::size_t digits = 0;
  for (std::size_t i = 0; i < end; ++i) {
    const std::uint8_t digit = kTable[static_cast<unsigned char>(text[i])];
    if (digit == kSkip) continue;
    if (digit == kBad) return fail(Errc::malformed, "not base64 (a foreign character at ", i, ")");
    bits = bits << 6 | digit;
    if (++digits % 4 != 0) continue;
    if (out.size() - written < 3)
      return fail(Errc::too_large, "base64 longer than expected (", out.size(), ")");
    out[written++] = static_cast<std::byte>(bits >> 16);
    out[written++] = static_cast<std::byte>(bits >> 8);
    out[written++] = static_cast<std::byte>(bits);
  }
  const std::size_t tail = digits % 4;
  if (tail == 1 || (padding != 0 && tail + padding != 4))
    return fail(Errc::malformed, "not base64 (", digits, " digits and ", padding, " of padding)");
  if (tail > 1) {
    if (out.size() - written < tail - 1)
      return fail(Errc::too_large, "base64 longer than expected (", out.size(), ")");
    bits <<= 6 * (4 - tail);
    out[written++] = static_cast<std::byte>(bits >> 16);
    if (tail == 3) out[written++] = static_cast<std::byte>(bits >> 8);
  }
  return written;
}

Result<std::string_view> strip_data_url(std::string_view text) {
  if (!text.starts_with("data:")) return text;
  const std::size_t comma = text.find(',');
  const std::string_view head = text.substr(0, comma);
  if (comma == std::string_view::npos || !head.starts_with("data:image/") ||
      !head.ends_with(";base64"))
    return fail(Errc::malformed, "not a data:image/...;base64, URL");
  return text.substr(comma + 1);
}

}  // namespace dermlens::server
