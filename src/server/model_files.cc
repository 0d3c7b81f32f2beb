// Names come from the disk, which others may write to: only plain ones are taken.
#include "server/model_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

namespace dermlens::server {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFiles = 256;
constexpr std::size_t kMaxNameLength = 100;

void find_versions(const fs::path& folder, std::vector<ModelFile>& out) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string version = at->path().filename().string();
    const fs::path file = at->path() / "model.onnx";
    std::error_code ignored;
    if (is_model_name(version) && fs::is_regular_file(file, ignored))
      out.push_back({folder.filename().string(), version, file.string()});
  }
}

}  // namespace

Result<FileStamp> stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
    return fail(Errc::not_found, "no such model file (", path, ")");
  return FileStamp{status.st_dev, status.st_ino, status.st_size,
                   std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

bool is_model_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameLength && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

Result<std::vector<ModelFile>> find_model_files(const std::string& folder) {
  std::vector<ModelFile> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->path().extension() == ".onnx" && at->is_regular_file(ignored)) {
      const std::string name = at->path().stem().string();
      if (is_model_name(name)) files.push_back({name, "1", at->path().string()});
    } else if (at->is_directory(ignored) && is_model_name(at->path().filename().string())) {
      find_versions(at->path(), files);
    }
  }
  if (error)
    return fail(Errc::usage, "cannot read the model folder (", folder, ", ", error.message(), ")");
  if (files.size() > kMaxFiles) files.resize(kMaxFiles);
  return files;
}

}  // namespace dermlens::server
