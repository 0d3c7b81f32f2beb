// One pass over the body: delimiter, headers, content, delimiter. Header names are compared without
// case, values are taken as they are.
#include "server/multipart.h"

#include <algorithm>

namespace dermlens::server {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes `; name=value` or `; name="value"` off the front of `rest`. False at the end.
Result<bool> next_parameter(std::string_view& rest, std::string_view& name, std::string& value) {
  rest = trimmed(rest);
  if (rest.empty()) return false;
  if (rest.front() != ';') return fail(Errc::malformed, "a header's parameters are broken");
  rest = trimmed(rest.substr(1));
  if (rest.empty()) return false;
  const std::size_t equals = rest.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return fail(Errc::malformed, "a header's parameter has no value");
  name = trimmed(rest.substr(0, equals));
  rest.remove_prefix(equals + 1);
  value.clear();
  if (!rest.starts_with('"')) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    value = trimmed(rest.substr(0, end));
    rest.remove_prefix(end);
    return true;
  }
  std::size_t at = 1;
  for (; at < rest.size() && rest[at] != '"'; ++at) {
    // Browsers escape a quote as %22; curl and others as \", and nobody escapes anything else.
    if (rest[at] == '\\' && at + 1 < rest.size() && (rest[at + 1] == '"' || rest[at + 1] == '\\'))
      ++at;
    value += rest[at];
  }
  if (at == rest.size()) return fail(Errc::malformed, "a quoted parameter does not end");
  rest.remove_prefix(at + 1);
  return true;
}

Result<void> read_disposition(std::string_view value, Part& part) {
  const std::size_t end = std::min(value.find(';'), value.size());
  if (!same(trimmed(value.substr(0, end)), "form-data"))
    return fail(Errc::malformed, "a part is not form-data");
  std::string_view rest = value.substr(end);
  std::string_view name;
  std::string text;
  bool named = false;
  for (;;) {
    TRY(const bool more, next_parameter(rest, name, text));
    if (!more) break;
    if (same(name, "name")) {
      if (named) return fail(Errc::malformed, "a part has two names");
      named = true;
      part.name = text;
    } else if (same(name, "filename") || same(name, "filename*")) {
      part.is_file = true;
    }
  }
  if (part.name.empty()) return fail(Errc::malformed, "a part has no name");
  if (part.name.size() > kMaxFieldName)
    return fail(Errc::too_large, "a part's name is too long (", part.name.size(), ", ",
                kMaxFieldName, ")");
  if (std::any_of(part.name.begin(), part.name.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return fail(Errc::malformed, "a part's name holds control characters");
  return {};
}

Result<void> read_header(std::string_view line, Part& part, bool& disposed) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || line.front() == ' ' || line.front() == '\t')
    return fail(Errc::malformed, "a part's header is broken");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (same(name, "content-disposition")) {
    if (disposed) return fail(Errc::malformed, "a part has two dispositions");
    disposed = true;
    return read_disposition(value, part);
  }
  if (same(name, "content-type")) {
    if (value.size() >= 10 && same(value.substr(0, 10), "multipart/"))
      return fail(Errc::malformed, "a part nests another multipart");
    part.type = value;
  } else if (same(name, "content-transfer-encoding")) {
    if (!same(value, "binary") && !same(value, "8bit") && !same(value, "7bit"))
      return fail(Errc::malformed, "a part is encoded, which RFC 7578 forbids");
  }
  return {};
}

// Takes a part's headers and the empty line after them off the front of `rest`.
Result<Part> read_headers(std::string_view& rest) {
  Part part;
  bool disposed = false;
  std::size_t used = 0;
  for (;;) {
    const std::size_t end = rest.substr(0, kMaxPartHeader - used + 2).find("\r\n");
    if (end == std::string_view::npos) {
      if (rest.size() > kMaxPartHeader - used)
        return fail(Errc::too_large, "a part's headers are too long (", kMaxPartHeader, ")");
      return fail(Errc::malformed, "the body ends inside a part's headers");
    }
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    used += std::min(end + 2, kMaxPartHeader - used);
    if (line.empty()) break;
    TRY_VOID(read_header(line, part, disposed));
  }
  if (!disposed) return fail(Errc::malformed, "a part has no Content-Disposition");
  return part;
}

// After a delimiter: true where another part follows, false at the closing one.
Result<bool> after_delimiter(std::string_view& rest) {
  if (rest.starts_with("--")) return false;
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
  if (!rest.starts_with("\r\n"))
    return fail(Errc::malformed, "a boundary is not followed by a line end");
  rest.remove_prefix(2);
  return true;
}

}  // namespace

Result<std::string> multipart_boundary(std::string_view content_type) {
  const std::size_t end = std::min(content_type.find(';'), content_type.size());
  if (!same(trimmed(content_type.substr(0, end)), "multipart/form-data"))
    return fail(Errc::unsupported, "not multipart/form-data");
  std::string_view rest = content_type.substr(end);
  std::string_view name;
  std::string value;
  std::string boundary;
  for (;;) {
    TRY(const bool more, next_parameter(rest, name, value));
    if (!more) break;
    if (!same(name, "boundary")) continue;
    if (!boundary.empty()) return fail(Errc::malformed, "multipart with two boundaries");
    boundary = value;
  }
  if (boundary.empty()) return fail(Errc::malformed, "multipart without a boundary");
  if (boundary.size() > 70)
    return fail(Errc::malformed, "the boundary is too long (", boundary.size(), ", 70)");
  for (const char c : boundary) {
    const bool allowed = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
                         std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
    if (!allowed) return fail(Errc::malformed, "the boundary holds a foreign character");
  }
  if (boundary.back() == ' ') return fail(Errc::malformed, "the boundary ends in a space");
  return boundary;
}

Result<std::vector<Part>> parse_multipart(std::string_view body, std::string_view boundary) {
  const std::string first = "--" + std::string(boundary);
  const std::string delimiter = "\r\n" + first;
  std::string_view rest = body;
  // RFC 2046 allows a preamble; browsers and clients send none but, at most, one line end.
  if (rest.starts_with("\r\n")) rest.remove_prefix(2);
  if (!rest.starts_with(first))
    return fail(Errc::malformed, "the body does not begin with the boundary");
  rest.remove_prefix(first.size());
  std::vector<Part> parts;
  for (;;) {
    TRY(const bool more, after_delimiter(rest));
    if (!more) break;
    if (parts.size() == kMaxParts) return fail(Errc::too_large, "too many parts (", kMaxParts, ")");
    TRY(Part part, read_headers(rest));
    const std::size_t end = rest.find(delimiter);
    if (end == std::string_view::npos)
      return fail(Errc::malformed, "the body ends before the closing boundary");
    part.content = rest.substr(0, end);
    rest.remove_prefix(end + delimiter.size());
    parts.push_back(std::move(part));
  }
  rest.remove_prefix(2);
  if (rest.size() > 2 || (rest.size() == 2 && rest != "\r\n") || rest.size() == 1)
    return fail(Errc::malformed, "bytes after the closing boundary (", rest.size(), ")");
  return parts;
}

}  // namespace dermlens::server
