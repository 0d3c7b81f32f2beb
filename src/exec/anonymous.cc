// mmap, madvise and munmap.
#include "exec/anonymous.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace dermlens::exec {

Result<Anonymous> Anonymous::map(Bytes bytes) {
  Anonymous pages;
  if (bytes == 0) return pages;
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    return fail(Errc::no_memory, "cannot map ", bytes, " B (", std::strerror(errno), ")");
  pages.data_ = static_cast<std::byte*>(data);
  pages.size_ = bytes;
  return pages;
}

void Anonymous::drop() const {
  if (data_ != nullptr) ::madvise(data_, size_, MADV_DONTNEED);
}

Anonymous::Anonymous(Anonymous&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Anonymous& Anonymous::operator=(Anonymous&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Anonymous::~Anonymous() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace dermlens::exec
