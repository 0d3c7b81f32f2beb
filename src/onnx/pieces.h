// A file to be written, as a list of pieces: views of mapped files, small owned strings, and
// tensors whose bytes are produced on the way. Protobuf wants the length before the content, so
// everything is listed and measured first and streamed afterwards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/draft_file.h"
#include "base/mapped_file.h"
#include "onnx/writer.h"

namespace dermlens::onnx {

class Pieces {
 public:
  void add(const std::string& owned);
  // `file` is what the view lies in: it is kept, and its pages are given back once written.
  void add(ByteView view, std::shared_ptr<const MappedFile> file);
  void add(NewTensor tensor, Bytes size);
  void append(Pieces other);

  Bytes size() const { return size_; }
  Result<void> write_to(DraftFile& file) const;

 private:
  struct Piece {
    std::string owned;
    ByteView view;
    std::shared_ptr<const MappedFile> file;
    NewTensor tensor;
    Bytes tensor_size = 0;
  };
  static Result<void> write(const Piece& piece, DraftFile& file);

  std::vector<Piece> pieces_;
  Bytes size_ = 0;
};

// Key and length of a length-delimited field. Fails with too_large from 2 GiB on.
Result<std::string> field_head(std::uint32_t tag, Bytes length);

}  // namespace dermlens::onnx
