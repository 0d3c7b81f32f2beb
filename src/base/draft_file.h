// A file that appears under its name only when it is complete: written beside it, then renamed.
// Whatever goes wrong before leaves the old file as it was and no draft behind. A symbolic link is
// followed: what it names is replaced, the link stays.
#pragma once

#include <string>
#include <vector>

#include "base/checked.h"
#include "base/descriptor.h"
#include "base/result.h"

namespace dermlens {

class DraftFile {
 public:
  // Fails with usage where `path` is there and no regular file (a device, a pipe), with io where
  // the folder does not let us.
  static Result<DraftFile> create(const std::string& path);
  DraftFile(DraftFile&& other) noexcept;
  DraftFile& operator=(DraftFile&&) = delete;
  ~DraftFile();

  // Buffers small pieces. Fails with io (a full disk).
  Result<void> append(ByteView bytes);
  Bytes size() const { return size_; }
  // Everything on the disk, then the name. Call once, last.
  Result<void> commit();

 private:
  DraftFile(std::string path, std::string draft, Descriptor file)
      : path_(std::move(path)), draft_(std::move(draft)), file_(std::move(file)) {}
  Result<void> write(ByteView bytes);
  Result<void> flush();

  std::string path_, draft_;
  Descriptor file_;
  std::vector<std::byte> buffer_;
  Bytes size_ = 0;
};

}  // namespace dermlens
