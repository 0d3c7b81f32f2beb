#include "base/text.h"

#include <cstdint>
#include <cstring>

namespace dermlens {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The length of the UTF-8 sequence at the front of `text`, 0 where there is no right one (overlong
// forms, surrogates and what lies past U+10FFFF are wrong).
std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  const unsigned second = byte(1);
  const bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                     (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return wrong ? 0 : length;
}

// Whether a right sequence is a control character.
bool is_control(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7F;
  return first == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;
}

// Characters of ASCII at the front of `text`, in whole words: pictures in base64 pass quickly.
std::size_t ascii_words(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080U;
  std::size_t length = 0;
  for (std::uint64_t word = 0; length + sizeof word <= text.size(); length += sizeof word) {
    std::memcpy(&word, text.data() + length, sizeof word);
    if ((word & kHighBits) != 0) break;
  }
  return length;
}

bool is_utf8(std::string_view text) {
  while (true) {
    text.remove_prefix(ascii_words(text));
    if (text.empty()) return true;
    const std::size_t length = utf8_sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
}

// Calls part(sequence) for each right sequence, and part("") for each byte that begins none; stops
// where it returns false.
template <class Part>
void for_each_sequence(std::string_view text, const Part& part) {
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    if (!part(text.substr(0, length))) return;
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

}  // namespace

bool is_clean_text(std::string_view text) {
  bool clean = true;
  for_each_sequence(text, [&](std::string_view sequence) {
    return clean = !sequence.empty() && !is_control(sequence);
  });
  return clean;
}

std::string as_utf8(std::string text) {
  if (is_utf8(text)) return text;
  std::string out;
  for_each_sequence(text, [&](std::string_view sequence) {
    out += sequence.empty() ? kReplacement : sequence;
    return true;
  });
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_sequence(text, [&](std::string_view sequence) {
    out += sequence.empty() ? kReplacement : is_control(sequence) ? "?" : sequence;
    return true;
  });
  return out;
}

}  // namespace dermlens
