// Results into files: whole or not at all.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/checked.h"
#include "base/result.h"

namespace dermlens::cli {

// Fails with usage where nothing may be written to `path`: empty, a directory, no such folder, or
// one that takes no file. Asked before the work is done.
Result<void> check_writable(const std::string& path);
// The same for what must be a file in the end: a device or a pipe is refused as well.
Result<void> check_replaceable(const std::string& path);

// Replaces the file in one step, by a temporary one beside it; a symbolic link is followed, and
// what is no regular file (a device, a pipe) is written to as it is. Fails with usage where the
// name is no file's, or io.
Result<void> write_file(const std::string& path, std::string_view bytes);

// The same for bytes that are not all there at once: `write` hands them over, one piece after the
// other. Its failures are this function's too.
using Sink = std::function<Result<void>(ByteView)>;
Result<void> write_in_pieces(const std::string& path,
                             const std::function<Result<void>(const Sink&)>& write);

}  // namespace dermlens::cli
