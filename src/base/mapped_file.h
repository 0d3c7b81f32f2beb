// A file mapped read-only, for models and packs of many megabytes: reading it costs page cache,
// not anonymous memory. If somebody truncates the file in place, reads yield zeros and damaged()
// turns true, instead of SIGBUS ending the process; whoever used the bytes asks damaged() before
// believing a result.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "base/checked.h"
#include "base/descriptor.h"
#include "base/result.h"

namespace dermlens {

// What the file system knows of a file's content without reading it: any change of content changes
// at least one of these.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0, size = 0, modified_ns = 0, changed_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};

class MappedFile {
 public:
  // Maps the whole of a regular file. Fails with not_found, io, or malformed when it is empty or
  // no regular file.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Valid while this object lives. Not aligned beyond what the file's own format promises.
  ByteView bytes() const { return {base_, size_}; }
  const std::string& path() const { return path_; }
  // As it was when the file was opened.
  const FileIdentity& identity() const { return identity_; }

  // Whether a read met a page that is no longer in the file. Any thread.
  bool damaged() const;

  // Copies [offset, offset + out.size()), which lies in the file, without mapping it. What the file
  // no longer has reads as zeros and makes damaged() true. Looks one to two megabytes ahead. Any
  // thread.
  void read(std::size_t offset, std::span<std::byte> out) const;

  // Gives back the pages of [offset, offset + length) and of the 2-MB blocks around it: the
  // next read maps them anew. Harmless while other threads read them. Any thread.
  void drop(std::size_t offset, std::size_t length) const;

 private:
  MappedFile(std::string path, FileIdentity identity, Descriptor file, const std::byte* base,
             int slot);

  std::string path_;
  FileIdentity identity_;
  Descriptor file_;
  const std::byte* base_;
  std::size_t size_;
  int slot_;
};

// Whether `bytes` lie in one of our mappings. Any thread.
bool is_mapped(ByteView bytes);

// Gives back the pages of `bytes` if they lie in one of our mappings; does nothing to other memory.
// Any thread.
void drop_pages(ByteView bytes);

// Takes every file that is mapped now out of memory and out of the page cache: the next read of it
// goes to the disk. To measure what that costs. What another process maps stays, and so does a file
// on tmpfs. Any thread.
void evict_mapped_files();

}  // namespace dermlens
