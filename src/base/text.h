// Text from files, names and command lines before it is shown: such bytes may be anything. JSON
// must be UTF-8, and a terminal obeys control characters.
#pragma once

#include <string>
#include <string_view>

namespace dermlens {

// Whether `text` is UTF-8 without control characters (C0, DEL and C1).
bool is_clean_text(std::string_view text);

// Bytes that are no UTF-8 become U+FFFD, one each.
std::string as_utf8(std::string text);

// The same, with '?' for every control character: one harmless line for a terminal.
std::string printable(std::string_view text);

}  // namespace dermlens
