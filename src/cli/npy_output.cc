// Floats go out as they lie; other types are converted a piece at a time. Constants are read by
// rows, since they may be as large as a model's weights.
#include "cli/npy_output.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "cli/write_file.h"

namespace dermlens::cli {
namespace {

constexpr std::size_t kPieceElements = 16 * 1024;

Result<void> write_header(const Sink& sink, const graph::TensorType& type) {
  TRY(const std::string header, npy_header(written_as(type.dtype), type.shape));
  return sink(std::as_bytes(std::span(header)));
}

template <class To, class From>
Result<void> write_converted(const Sink& sink, std::span<const From> values) {
  const std::size_t room = std::min(values.size(), kPieceElements);
  const auto piece = std::make_unique<To[]>(room);  // no vector: that of bool has no bytes
  while (!values.empty()) {
    const std::size_t count = std::min(values.size(), room);
    std::ranges::transform(values.first(count), piece.get(), [](From value) {
      return std::is_same_v<To, bool> ? static_cast<To>(value != From{}) : static_cast<To>(value);
    });
    TRY_VOID(sink(std::as_bytes(std::span<const To>(piece.get(), count))));
    values = values.subspan(count);
  }
  return {};
}

// Integers that were computed have eight bits, and fp32 holds them exactly.
template <class Number>
Result<void> write_values(const Sink& sink, graph::DType type, std::span<const Number> values) {
  switch (written_as(type)) {
    case NpyType::boolean:
      return write_converted<bool>(sink, values);
    case NpyType::i64:
      return write_converted<std::int64_t>(sink, values);
    default:
      return write_converted<float>(sink, values);
  }
}

Result<void> write_floats_by_rows(const Sink& sink, const graph::Value& constant, Ledger& ledger) {
  const graph::Shape& shape = constant.type.shape;
  const std::size_t rows = shape.empty() ? 1 : static_cast<std::size_t>(shape[0]);
  const std::size_t row = rows == 0 ? 0 : constant.type.elements() / rows;
  if (row == 0) return {};
  const std::size_t most = std::min(rows, std::max<std::size_t>(1, kPieceElements / row));
  // The numbers, and the pages of the file that they come from.
  constexpr Bytes kBytesOfElement = sizeof(float) + sizeof(double);
  TRY(const Bytes need, checked_mul(Bytes{most} * row, kBytesOfElement));
  TRY(const Reservation hold, ledger.reserve(Category::results, need));
  for (std::size_t first = 0; first < rows; first += most) {
    const std::vector<float> values =
        graph::to_floats(constant, first, std::min(most, rows - first));
    TRY_VOID(sink(std::as_bytes(std::span(values))));
  }
  return {};
}

}  // namespace

NpyType written_as(graph::DType type) {
  if (type == graph::DType::boolean) return NpyType::boolean;
  return graph::is_float(type) ? NpyType::f32 : NpyType::i64;
}

Result<void> write_npy(const std::string& path, const graph::TensorType& type,
                       std::span<const float> computed) {
  return write_in_pieces(path, [&](const Sink& sink) -> Result<void> {
    TRY_VOID(write_header(sink, type));
    if (written_as(type.dtype) == NpyType::f32) return sink(std::as_bytes(computed));
    return write_values(sink, type.dtype, computed);
  });
}

Result<void> write_npy(const std::string& path, const graph::Value& constant, Ledger& ledger) {
  return write_in_pieces(path, [&](const Sink& sink) -> Result<void> {
    TRY_VOID(write_header(sink, constant.type));
    if (graph::is_float(constant.type.dtype)) return write_floats_by_rows(sink, constant, ledger);
    // The numbers, and at most as many bytes in the file.
    TRY(const Bytes need, checked_mul(constant.type.elements(), 2 * sizeof(std::int64_t)));
    TRY(const Reservation hold, ledger.reserve(Category::results, need));
    const std::vector<std::int64_t> values = graph::to_integers(constant);
    return write_values(sink, constant.type.dtype, std::span<const std::int64_t>(values));
  });
}

}  // namespace dermlens::cli
