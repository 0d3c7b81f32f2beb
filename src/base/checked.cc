// Checked sums and products, and sizes as people write them.
#include "base/checked.h"

#include <array>
#include <charconv>
#include <cstdio>

namespace dermlens {

Result<Bytes> checked_add(Bytes a, Bytes b) {
  Bytes sum = 0;
  if (__builtin_add_overflow(a, b, &sum))
    return fail(Errc::too_large, "size overflows (", a, " + ", b, ")");
  return sum;
}

Result<Bytes> checked_mul(Bytes a, Bytes b) {
  Bytes product = 0;
  if (__builtin_mul_overflow(a, b, &product))
    return fail(Errc::too_large, "size overflows (", a, " x ", b, ")");
  return product;
}

Result<Bytes> parse_size(std::string_view text) {
  Bytes number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest == text.data())
    return fail(Errc::usage, "not a size (", text, ", use a form like 96M)");
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  if (unit.ends_with('B')) unit.remove_suffix(1);
  if (unit.ends_with('i')) unit.remove_suffix(1);
  if (unit.empty()) return number;
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t power =
      unit.size() == 1 ? kUnits.find(static_cast<char>(unit[0] & ~0x20)) : std::string_view::npos;
  if (power == std::string_view::npos)
    return fail(Errc::usage, "not a size (", text, ", use a form like 96M)");
  return checked_mul(number, Bytes{1} << (10 * (power + 1)));
}

std::string format_size(Bytes bytes) {
  std::array<char, 32> text{};
  const double mebibytes = static_cast<double>(bytes) / (1024.0 * 1024.0);
  std::snprintf(text.data(), text.size(), mebibytes < 0.1 ? "%.3f MB" : "%.1f MB", mebibytes);
  return text.data();
}

}  // namespace dermlens
