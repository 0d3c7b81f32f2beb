// Anonymous pages of our own: zeroed by the kernel, counted when touched, gone with the object.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"

namespace dermlens::exec {

class Anonymous {
 public:
  Anonymous() = default;
  // Fails with no_memory where the system has no address space or commit left.
  static Result<Anonymous> map(Bytes bytes);
  Anonymous(Anonymous&& other) noexcept;
  Anonymous& operator=(Anonymous&& other) noexcept;
  ~Anonymous();

  // Gives the pages back: what is read next is zero.
  void drop() const;

  std::byte* data() const { return data_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace dermlens::exec
