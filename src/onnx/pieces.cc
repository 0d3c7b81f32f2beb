// Measuring and streaming.
#include "onnx/pieces.h"

#include <algorithm>
#include <protozero/varint.hpp>

#include "onnx/pages_behind.h"

namespace dermlens::onnx {
namespace {

// What is written and given back at once.
constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr Bytes kMaxMessage = (Bytes{1} << 31) - 1;

}  // namespace

void Pieces::add(const std::string& owned) {
  size_ += owned.size();
  // Neighbouring strings are one piece.
  const bool joins = !pieces_.empty() && !pieces_.back().owned.empty();
  if (!joins) pieces_.emplace_back();
  pieces_.back().owned += owned;
}

void Pieces::add(ByteView view, std::shared_ptr<const MappedFile> file) {
  size_ += view.size();
  if (!pieces_.empty()) {
    Piece& last = pieces_.back();
    if (last.file == file && !last.view.empty() &&
        last.view.data() + last.view.size() == view.data()) {
      last.view = {last.view.data(), last.view.size() + view.size()};
      return;
    }
  }
  Piece& piece = pieces_.emplace_back();
  piece.view = view;
  piece.file = std::move(file);
}

void Pieces::add(NewTensor tensor, Bytes size) {
  size_ += size;
  Piece& piece = pieces_.emplace_back();
  piece.tensor = std::move(tensor);
  piece.tensor_size = size;
}

void Pieces::append(Pieces other) {
  size_ += other.size_;
  std::ranges::move(other.pieces_, std::back_inserter(pieces_));
}

Result<void> Pieces::write(const Piece& piece, DraftFile& file) {
  if (!piece.owned.empty()) return file.append(std::as_bytes(std::span(piece.owned)));
  for (std::size_t done = 0; done < piece.view.size(); done += kChunk) {
    const ByteView chunk = piece.view.subspan(done, std::min(kChunk, piece.view.size() - done));
    TRY_VOID(file.append(chunk));
    if (piece.file) drop_behind(*piece.file, chunk);
  }
  if (!piece.tensor.write_to) return {};
  Bytes written = 0;
  TRY_VOID(piece.tensor.write_to([&](ByteView bytes) -> Result<void> {
    written += bytes.size();
    if (written > piece.tensor_size)
      return fail(Errc::internal, "a tensor wrote more than its bytes (", written, ", ",
                  piece.tensor_size, ")");
    return file.append(bytes);
  }));
  if (written != piece.tensor_size)
    return fail(Errc::internal, "a tensor wrote less than its bytes (", written, ", ",
                piece.tensor_size, ")");
  return {};
}

Result<void> Pieces::write_to(DraftFile& file) const {
  for (const Piece& piece : pieces_) TRY_VOID(write(piece, file));
  return {};
}

Result<std::string> field_head(std::uint32_t tag, Bytes length) {
  if (length > kMaxMessage)
    return fail(Errc::too_large, "bytes of a protobuf message (", length, ", ", kMaxMessage, ")");
  std::string head;
  constexpr std::uint32_t kLengthDelimited = 2;
  protozero::write_varint(std::back_inserter(head), (std::uint64_t{tag} << 3) | kLengthDelimited);
  protozero::write_varint(std::back_inserter(head), length);
  return head;
}

}  // namespace dermlens::onnx
