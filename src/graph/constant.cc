// Reading constants by their recipe: unaligned little-endian bytes of any element type become
// floats row by row, straight into the caller's buffer, so that a large weight never exists twice.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/mapped_file.h"
#include "graph/graph.h"

namespace dermlens::graph {
namespace {

static_assert(std::endian::native == std::endian::little, "stored constants are little-endian");

template <class Stored>
Stored load(const std::byte* from) {
  Stored stored;
  std::memcpy(&stored, from, sizeof stored);
  return stored;
}

// Branchless, so that the compiler can vectorise it: the exponent is re-biased by an addition, and
// a subnormal half gets its leading one by a subtraction that the hardware normalises.
float from_half(std::uint16_t half) {
  constexpr std::uint32_t kRebias = (127 - 15) << 23;
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7fff) << 13;
  const std::uint32_t normal = magnitude + kRebias;
  const float lifted = std::bit_cast<float>(normal + (1u << 23)) - 0x1p-14f;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(lifted);
  const std::uint32_t infinite = magnitude | 0x7f800000u;
  const std::uint32_t finite = magnitude < (1u << 23) ? subnormal : normal;
  return std::bit_cast<float>(sign | (magnitude >= (31u << 23) ? infinite : finite));
}

float from_bfloat(std::uint16_t stored) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(stored) << 16);
}

float from_boolean(std::uint8_t stored) { return stored != 0 ? 1.0f : 0.0f; }

template <class Stored>
float to_float(Stored stored) {
  return static_cast<float>(stored);
}

template <class Stored, float (*Convert)(Stored)>
void convert(const std::byte* from, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = Convert(load<Stored>(from + i * sizeof(Stored)));
}

void convert_all(DType stored_as, const std::byte* from, std::span<float> out) {
  if (out.empty()) return;
  switch (stored_as) {
    case DType::f32:
      std::memcpy(out.data(), from, out.size_bytes());
      return;
    case DType::f16:
      return convert<std::uint16_t, from_half>(from, out);
    case DType::bf16:
      return convert<std::uint16_t, from_bfloat>(from, out);
    case DType::f64:
      return convert<double, to_float<double>>(from, out);
    case DType::i8:
      return convert<std::int8_t, to_float<std::int8_t>>(from, out);
    case DType::u8:
      return convert<std::uint8_t, to_float<std::uint8_t>>(from, out);
    case DType::i32:
      return convert<std::int32_t, to_float<std::int32_t>>(from, out);
    case DType::i64:
      return convert<std::int64_t, to_float<std::int64_t>>(from, out);
    case DType::boolean:
      return convert<std::uint8_t, from_boolean>(from, out);
  }
}

// One number for every index along the axis, or one for all, or none.
struct PerIndex {
  std::span<const float> numbers;
  float none;
  float at(std::size_t index) const {
    if (numbers.empty()) return none;
    return numbers.size() == 1 ? numbers[0] : numbers[index];
  }
};

// Elements behind one index along `axis`, and before: the recipe changes every `inner` elements.
struct Runs {
  std::size_t inner = 1;
  std::size_t length = 1;
};

Runs runs_of(const Shape& shape, std::size_t axis) {
  Runs runs;
  if (axis >= shape.size()) return runs;
  runs.length = static_cast<std::size_t>(shape[axis]);
  for (std::size_t i = axis + 1; i < shape.size(); ++i)
    runs.inner *= static_cast<std::size_t>(shape[i]);
  return runs;
}

void apply_recipe(const Value& value, std::size_t first_element, std::span<float> out) {
  const Constant& constant = *value.constant;
  const PerIndex scale{constant.scale, 1.0f};
  const PerIndex zero_point{constant.zero_point, 0.0f};
  const bool per_index = constant.scale.size() > 1 || constant.zero_point.size() > 1;
  const Runs runs = per_index ? runs_of(value.type.shape, constant.axis) : Runs{};
  std::size_t index = first_element / runs.inner % runs.length;
  std::size_t left = per_index ? runs.inner - first_element % runs.inner : out.size();
  for (std::size_t done = 0; done < out.size();) {
    const float factor = scale.at(index), shift = zero_point.at(index);
    const std::size_t end = std::min(out.size(), done + left);
    for (; done < end; ++done) out[done] = (out[done] - shift) * factor;
    index = index + 1 == runs.length ? 0 : index + 1;
    left = runs.inner;
  }
}

template <class Stored>
void widen(ByteView stored, std::vector<std::int64_t>& out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    // A sum, because a cast of a signed char looks like a mistake.
    out[i] = std::int64_t{0} + load<Stored>(stored.data() + i * sizeof(Stored));
}

std::int64_t saturate(float number) {
  constexpr float kMost = 0x1p63f;
  if (std::isnan(number)) return 0;
  if (number >= kMost) return std::numeric_limits<std::int64_t>::max();
  if (number < -kMost) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(number);
}

}  // namespace

void read_rows(const Value& constant, std::size_t first, std::size_t rows, std::span<float> out) {
  CHECK(constant.constant.has_value());
  const Shape& shape = constant.type.shape;
  const std::size_t all_rows = shape.empty() ? 1 : static_cast<std::size_t>(shape[0]);
  const std::size_t elements = constant.type.elements();
  const std::size_t row = all_rows == 0 ? 0 : elements / all_rows;
  CHECK(first <= all_rows && rows <= all_rows - first && out.size() == rows * row);
  const Constant& recipe = *constant.constant;
  const std::size_t element_size = size_of(recipe.stored_as);
  const bool plain = recipe.scale.empty() && recipe.zero_point.empty();
  // A few kilobytes at a time, so that the recipe meets the numbers while they are in the cache.
  const std::size_t step = plain ? std::max<std::size_t>(out.size(), 1) : 4096;
  for (std::size_t done = 0; done < out.size(); done += step) {
    const auto chunk = out.subspan(done, std::min(step, out.size() - done));
    const std::size_t element = first * row + done;
    convert_all(recipe.stored_as, recipe.stored.data() + element * element_size, chunk);
    if (!plain) apply_recipe(constant, element, chunk);
  }
}

std::vector<float> to_floats(const Value& constant, std::size_t first, std::size_t rows) {
  const Shape& shape = constant.type.shape;
  const std::size_t all_rows = shape.empty() ? 1 : static_cast<std::size_t>(shape[0]);
  CHECK(first <= all_rows);
  if (rows == 0) rows = all_rows - first;
  const std::size_t row = all_rows == 0 ? 0 : constant.type.elements() / all_rows;
  std::vector<float> numbers(rows * row);
  read_rows(constant, first, rows, numbers);
  drop_pages(constant.constant->stored);
  return numbers;
}

std::vector<std::int64_t> to_integers(const Value& constant) {
  CHECK(constant.constant.has_value());
  const Constant& recipe = *constant.constant;
  std::vector<std::int64_t> numbers(constant.type.elements());
  const bool plain = recipe.scale.empty() && recipe.zero_point.empty();
  if (!plain || is_float(recipe.stored_as)) {
    std::ranges::transform(to_floats(constant), numbers.begin(), saturate);
    return numbers;
  }
  switch (recipe.stored_as) {
    case DType::i8:
      widen<std::int8_t>(recipe.stored, numbers);
      break;
    case DType::i32:
      widen<std::int32_t>(recipe.stored, numbers);
      break;
    case DType::i64:
      widen<std::int64_t>(recipe.stored, numbers);
      break;
    case DType::boolean:
      widen<std::uint8_t>(recipe.stored, numbers);
      for (std::int64_t& number : numbers) number = number != 0 ? 1 : 0;
      break;
    default:
      widen<std::uint8_t>(recipe.stored, numbers);
      break;
  }
  drop_pages(recipe.stored);
  return numbers;
}

}  // namespace dermlens::graph
