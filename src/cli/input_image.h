// Photos from files, mapped: a photo's bytes cost page cache, not memory.
#pragma once

#include <memory>
#include <string>

#include "base/mapped_file.h"
#include "diagnose/model.h"

namespace dermlens::cli {

// Answers for the photo in a file. Errors begin with the path; fails with corrupt where the file
// changed meanwhile.
Result<diagnose::Answer> answer_file(diagnose::Model& model, const std::string& path,
                                     const diagnose::Request& request);

}  // namespace dermlens::cli
