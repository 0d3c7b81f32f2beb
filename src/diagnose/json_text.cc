// Boost.JSON writes every double with an exponent. One pass adds up the bytes, so that a picture of
// base64 is copied once.
#include "diagnose/json_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace dermlens {
namespace {

namespace json = boost::json;

// Beyond these, plain digits are longer to read than an exponent.
constexpr double kLeastPlain = 1e-5, kMostPlain = 1e15;

void append(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  const double size = std::abs(number);
  const bool plain = size == 0 || (size >= kLeastPlain && size < kMostPlain);
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  out.append(text.data(), end);
}

void append(std::string& out, std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  out += '"';
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out += text.substr(begin, i - begin);
    begin = i + 1;
    if (byte >= 0x20) {
      (out += '\\') += text[i];
    } else {
      out += "\\u00";
      (out += kDigits[byte >> 4]) += kDigits[byte & 15U];
    }
  }
  out += text.substr(begin);
  out += '"';
}

void append(std::string& out, const json::value& value);

void append(std::string& out, const json::object& object) {
  out += '{';
  bool first = true;
  for (const auto& member : object) {
    if (!std::exchange(first, false)) out += ',';
    append(out, std::string_view(member.key()));
    out += ':';
    append(out, member.value());
  }
  out += '}';
}

void append(std::string& out, const json::array& array) {
  out += '[';
  bool first = true;
  for (const json::value& item : array) {
    if (!std::exchange(first, false)) out += ',';
    append(out, item);
  }
  out += ']';
}

void append(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::object:
      return append(out, value.get_object());
    case json::kind::array:
      return append(out, value.get_array());
    case json::kind::double_:
      return append(out, value.get_double());
    case json::kind::string:
      return append(out, std::string_view(value.get_string()));
    case json::kind::int64:
      out += std::to_string(value.get_int64());
      return;
    case json::kind::uint64:
      out += std::to_string(value.get_uint64());
      return;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case json::kind::null:
      out += "null";
      return;
  }
}

constexpr std::size_t kNumber = 20, kPunctuation = 4;

std::size_t size_of(const json::value& value);

std::size_t size_of(const json::object& object) {
  std::size_t size = kPunctuation;
  for (const auto& member : object)
    size += member.key().size() + kPunctuation + size_of(member.value());
  return size;
}

// As append() writes it.
std::size_t size_of(std::string_view text) {
  constexpr std::size_t kControl = 6, kEscaped = 2;
  std::size_t size = text.size() + kPunctuation;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) size += kControl - 1;
    if (c == '"' || c == '\\') size += kEscaped - 1;
  }
  return size;
}

// An estimate that is right for long strings, which are what counts.
std::size_t size_of(const json::value& value) {
  if (const auto* object = value.if_object()) return size_of(*object);
  if (const auto* text = value.if_string()) return size_of(std::string_view(*text));
  std::size_t size = kNumber;
  if (const auto* array = value.if_array())
    for (const json::value& item : *array) size += size_of(item);
  return size;
}

template <class Value>
std::string write(const Value& value) {
  std::string out;
  out.reserve(size_of(value));
  append(out, value);
  // Names and paths may be any bytes; they stand in strings only.
  return as_utf8(std::move(out));
}

}  // namespace

std::string to_text(const json::value& value) { return write(value); }

std::string to_text(const json::object& object) { return write(object); }

std::size_t text_bytes(const json::value& value) { return size_of(value); }

std::size_t text_bytes(const json::object& object) { return size_of(object); }

}  // namespace dermlens
