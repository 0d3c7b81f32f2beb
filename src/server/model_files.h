// Model files as they lie on the disk: which there are in a folder, and whether one has changed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dermlens::server {

// What tells a file from the one that was there before.
struct FileStamp {
  std::uint64_t device = 0, inode = 0;
  std::int64_t size = 0, modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

// Fails with not_found where there is no regular file.
Result<FileStamp> stamp_of(const std::string& path);

// Letters, digits, '.', '_' and '-', not beginning with a dot: safe in addresses, logs and paths.
bool is_model_name(std::string_view name);

struct ModelFile {
  std::string name, version, path;
};

// NAME.onnx (version 1) and Triton's NAME/VERSION/model.onnx; others are passed over, and what is
// past the 256th. Fails with usage where the folder cannot be read.
Result<std::vector<ModelFile>> find_model_files(const std::string& folder);

}  // namespace dermlens::server
