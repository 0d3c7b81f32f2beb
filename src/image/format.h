// Which kind of picture some bytes are, decided by what they hold and never by a file's name or a
// client's Content-Type.
#pragma once

#include <string_view>

#include "base/checked.h"
#include "base/result.h"

namespace dermlens {

enum class Format { jpeg, png, webp };
std::string_view to_string(Format format);

// Fails with malformed where there are no bytes at all, with unsupported where they are anything
// else than the three formats; the sentence names those, and the foreign format where it is known.
Result<Format> sniff_format(ByteView bytes);

}  // namespace dermlens
