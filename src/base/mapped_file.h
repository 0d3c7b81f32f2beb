// A file mapped read-only, for models and packs of many megabytes: reading it costs page cache,
// not anonymous memory. If somebody truncates the file in place, reads yield zeros and damaged()
// turns true, instead of SIGBUS ending the process; whoever used the bytes asks damaged() before
// believing a result.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/checked.h"
#include "base/result.h"

namespace dermlens {

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

  // Whether a read met a page that is no longer in the file. Any thread.
  bool damaged() const;

  // Gives back the whole pages inside [offset, offset + length): the next read maps them anew.
  // Harmless while other threads read them. Any thread.
  void drop(std::size_t offset, std::size_t length) const;

 private:
  MappedFile(std::string path, const std::byte* base, std::size_t size, int slot);

  std::string path_;
  const std::byte* base_;
  std::size_t size_;
  int slot_;
};

}  // namespace dermlens
