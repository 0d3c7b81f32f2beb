// Labelled photos on disk: a folder with labels.csv, or with a folder for each class.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diagnose/types.h"

namespace dermlens::evaluate {

struct Example {
  std::string path;
  std::optional<std::size_t> class_id;  // empty: of no class the model knows
};

inline constexpr std::size_t kMaxExamples = 1'000'000;

// With labels.csv: its columns `file` (within the folder) and `class_id` (-1 or empty:
// unknown to the model). Else each subfolder's photos: the folder is called as the class's key, a
// display name, `N` or `N_anything`; `other` and `other_anything` hold photos unknown to the model.
// Sorted by path. Fails with not_found, io, too_large, or malformed naming the line or the folder.
Result<std::vector<Example>> read_dataset(const std::string& folder, const diagnose::Card& card);

}  // namespace dermlens::evaluate
