// Unguessable ids out of the kernel's generator.
#pragma once

#include <string>
#include <string_view>

namespace dermlens::server {

// `bytes` random bytes as lower-case hex digits; ends the process where the kernel gives none.
std::string random_hex(std::size_t bytes);

// Whether `text` is the form of a result's id: 32 lower-case hex digits.
bool is_result_id(std::string_view text);

}  // namespace dermlens::server
