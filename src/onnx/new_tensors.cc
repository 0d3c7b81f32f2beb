// Tensors that are made while they are written.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "onnx/pages_behind.h"
#include "onnx/writer.h"

namespace dermlens::onnx {
namespace {

using graph::DType;

constexpr std::size_t kElementsAtOnce = 16 * 1024;

// Nearest, ties to even. NaN stays NaN.
std::uint16_t to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  const auto signed_half = [&](std::uint32_t half) {
    return static_cast<std::uint16_t>(sign | half);
  };
  if (magnitude > 0x7F800000) return signed_half(0x7E00);
  if (magnitude >= 0x47800000) return signed_half(0x7C00);  // 2^16 and more
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 shifts the ten bits into place, rounded by the hardware.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return signed_half(std::bit_cast<std::uint32_t>(shifted) - 0x3F000000);
  }
  const std::uint32_t odd = (magnitude >> 13) & 1;
  return signed_half((magnitude - 0x38000000 + 0x0FFF + odd) >> 13);
}

std::uint16_t to_bfloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x0040);
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Whether rounding made an infinity of a finite number.
bool overflowed(float value, std::uint16_t narrow, DType type) {
  const std::uint16_t infinity = type == DType::f16 ? 0x7C00 : 0x7F80;
  return std::isfinite(value) && (narrow & 0x7FFF) == infinity;
}

Result<void> write_narrow(ByteView stored, DType from, DType type, const MappedFile* file,
                          const ByteSink& sink) {
  std::array<float, kElementsAtOnce> wide;
  std::array<std::uint16_t, kElementsAtOnce> narrow;
  const std::size_t element = graph::size_of(from);
  graph::Value numbers;
  numbers.constant = graph::Constant{from, {}, nullptr, 0, {}, {}};
  while (!stored.empty()) {
    const ByteView piece = stored.first(std::min(stored.size(), kElementsAtOnce * element));
    const std::size_t count = piece.size() / element;
    numbers.type.shape = {static_cast<std::int64_t>(count)};
    numbers.constant->stored = piece;
    graph::read_rows(numbers, 0, count, std::span(wide).first(count));
    for (std::size_t i = 0; i < count; ++i) {
      narrow[i] = type == DType::f16 ? to_half(wide[i]) : to_bfloat(wide[i]);
      if (overflowed(wide[i], narrow[i], type))
        return fail(Errc::unsupported, "element too large for ", graph::to_string(type), " (",
                    wide[i], ")");
    }
    TRY_VOID(sink(std::as_bytes(std::span(narrow.data(), count))));
    if (file) drop_behind(*file, piece);
    stored = stored.subspan(piece.size());
  }
  return {};
}

bool lies_in(ByteView bytes, const MappedFile& file) {
  const std::less_equal<const std::byte*> not_after;
  return not_after(file.bytes().data(), bytes.data()) &&
         not_after(bytes.data() + bytes.size(), file.bytes().data() + file.bytes().size());
}

}  // namespace

NewTensor small_tensor(DType stored_as, graph::Shape shape, ByteView bytes) {
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  return {stored_as, std::move(shape),
          [copy = std::move(copy)](const ByteSink& sink) { return sink(copy); }};
}

Result<NewTensor> narrowed(const graph::Constant& constant, graph::Shape shape, DType stored_as,
                           std::shared_ptr<const MappedFile> file) {
  if (stored_as != DType::f16 && stored_as != DType::bf16)
    return fail(Errc::usage, "cannot narrow to ", graph::to_string(stored_as));
  const bool is_wider = constant.stored_as == DType::f32 || constant.stored_as == DType::f16;
  if (!is_wider || !constant.scale.empty() || !constant.zero_point.empty())
    return fail(Errc::unsupported, "only plain f32 and f16 can be narrowed (it is stored as ",
                graph::to_string(constant.stored_as), ")");
  if (file && !lies_in(constant.stored, *file)) file = nullptr;
  return NewTensor{stored_as, std::move(shape),
                   [stored = constant.stored, from = constant.stored_as, owner = constant.owner,
                    stored_as, file = std::move(file)](const ByteSink& sink) {
                     return write_narrow(stored, from, stored_as, file.get(), sink);
                   }};
}

}  // namespace dermlens::onnx
