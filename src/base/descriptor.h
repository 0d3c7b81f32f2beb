// A file descriptor that is closed with its scope.
#pragma once

#include <unistd.h>

#include <utility>

namespace dermlens {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  // Negative where there is none.
  int get() const { return fd_; }
  // What ::close() says: some file systems tell of a full disk only now.
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

}  // namespace dermlens
