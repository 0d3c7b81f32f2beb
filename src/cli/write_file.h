// Results into files: whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace dermlens::cli {

// Fails with usage where nothing may be written to `path`: empty, a directory, no such folder.
// Asked before the work is done.
Result<void> check_writable(const std::string& path);

// Replaces the file in one step, by a temporary one beside it; a symbolic link is followed, and
// what is no regular file (a device, a pipe) is written to as it is. Fails with usage as above, or
// io.
Result<void> write_file(const std::string& path, std::string_view bytes);

}  // namespace dermlens::cli
