// The photos of a folder: to calibrate with and to verify on.
#pragma once

#include <string>
#include <vector>

#include "diagnose/types.h"
#include "image/picture.h"

namespace dermlens::quantize {

inline constexpr std::size_t kMaxPhotos = 100'000;

// Every .jpg, .jpeg, .png and .webp under `folder`, sorted by path; symbolic links to folders are
// not followed. Fails with not_found, io, or too_large past kMaxPhotos.
Result<std::vector<std::string>> find_photos(const std::string& folder);

// So that something is left to judge by: where the two folders share photos, every second of the
// shared ones is not calibrated on (but for the only one).
struct Split {
  std::vector<std::string> calibrate;
  std::vector<bool> seen;  // by photo of `verify`: whether it was calibrated on
};
Split hold_out(const std::vector<std::string>& calibrate, const std::vector<std::string>& verify);

// The photo in the model's size. Errors begin with the path.
Result<Picture> read_photo(const std::string& path, const diagnose::Preprocessing& how,
                           Ledger& ledger);

// Fails as the first of them does, naming the folder too, where none of its photos can be read.
// Asked before the work is done.
Result<void> check_photos(const std::string& folder, const std::vector<std::string>& photos,
                          const diagnose::Preprocessing& how, Ledger& ledger);

}  // namespace dermlens::quantize
