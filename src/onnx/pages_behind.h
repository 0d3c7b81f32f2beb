// A walk over a mapped file from front to back that gives the pages behind it back, so that
// looking at the field keys of a large model does not count as tens of MB of resident memory: the
// kernel maps whole neighbourhoods for every byte that is read.
#pragma once

#include "base/mapped_file.h"

namespace dermlens::onnx {

// How much is passed before it is given back.
inline constexpr std::size_t kStep = std::size_t{2} << 20;

// Gives back the pages of `passed`, which lies in the file.
inline void drop_behind(const MappedFile& file, ByteView passed) {
  file.drop(static_cast<std::size_t>(passed.data() - file.bytes().data()), passed.size());
}

class PagesBehind {
 public:
  // `file` may be null: then nothing is given back. Outlives this object otherwise.
  explicit PagesBehind(const MappedFile* file) : file_(file) {}
  // Whatever was mapped during the walk goes at its end.
  ~PagesBehind() {
    if (file_) file_->drop(0, file_->bytes().size());
  }
  PagesBehind(const PagesBehind&) = delete;
  PagesBehind& operator=(const PagesBehind&) = delete;

  // The walk has passed `message`, which lies in the file.
  void passed(ByteView message) {
    if (!file_) return;
    const auto end =
        static_cast<std::size_t>(message.data() + message.size() - file_->bytes().data());
    if (end < dropped_ + kStep) return;
    file_->drop(dropped_, end - dropped_);
    dropped_ = end;
  }

 private:
  const MappedFile* file_;
  std::size_t dropped_ = 0;
};

}  // namespace dermlens::onnx
