// Pictures that no one has taken, for measuring: skin-like tones, a red patch and some grain, the
// same bytes on every machine; and files that are no pictures at all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/header.h"

namespace dermlens::cli {

// A baseline JPEG, made row by row: 50 megapixels take a few megabytes while they are made.
Result<std::string> synthetic_photo(Size size);

struct BrokenFile {
  std::string name;
  std::string bytes;
};

// Ten files, each broken in its own way; none may be read as a picture.
Result<std::vector<BrokenFile>> broken_files();

}  // namespace dermlens::cli
