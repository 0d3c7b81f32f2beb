// Base64 of RFC 4648 with padding: pictures inside JSON.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace dermlens::diagnose {

std::string to_base64(std::string_view bytes);

// Fails with malformed on any other character, on white space, on wrong padding and on bits that
// the last group should not have.
Result<std::string> from_base64(std::string_view text);

}  // namespace dermlens::diagnose
