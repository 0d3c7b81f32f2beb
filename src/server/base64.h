// Base64 from clients, lenient where clients differ, and data: URLs as a browser's camera makes
// them. (What we send is made by diagnose/base64.h.)
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/checked.h"
#include "base/result.h"

namespace dermlens::server {

// The most bytes that `text` can decode to.
std::size_t decoded_bound(std::string_view text);

// Decodes RFC 4648 base64 (the standard or the URL alphabet, padding optional, line breaks skipped)
// into `out`, which may begin where `text` begins but nowhere after; returns the bytes written.
// Fails with malformed, naming the place of the first character that does not belong, or with
// too_large where `out` is short.
Result<std::size_t> decode_base64(std::string_view text, std::span<std::byte> out);

// The base64 part of "data:image/...;base64,...", or the text itself where it is no data: URL.
// Fails with malformed where it is one of another kind.
Result<std::string_view> strip_data_url(std::string_view text);

}  // namespace dermlens::server
