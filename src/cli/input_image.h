// Photos from files, mapped: their pages count while they are read.
#pragma once

#include <memory>
#include <string>

#include "base/mapped_file.h"
#include "cli/engine.h"

namespace dermlens::cli {

// Answers for the photo in a file, as answer() does. Errors begin with the path; fails with corrupt
// where the file changed meanwhile.
Result<diagnose::Answer> answer_file(Engine& engine, const std::string& path,
                                     const diagnose::Request& request);

}  // namespace dermlens::cli
