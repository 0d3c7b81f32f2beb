// NumPy's .npy files (format versions 1 to 3), the form in which raw tensors enter and leave:
// `run`, `grad`, `explain --map` and the goldens of the tests. Reads little-endian arrays in C
// order of the types below; refuses Fortran order, big-endian, structured and object arrays, and
// files whose length is not what the header says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "base/result.h"

namespace dermlens {

enum class NpyType : std::uint8_t { f32, f64, i64, i32, u8, boolean };

std::string_view to_string(NpyType type);  // "f32", ...
Bytes size_of(NpyType type);

inline constexpr std::size_t kNpyMaxRank = 32;  // NumPy's own
inline constexpr Bytes kNpyMaxBytes = Bytes{1} << 31;

struct NpyArray {
  NpyType type = NpyType::f32;
  std::vector<std::int64_t> shape;  // empty: one scalar
  std::vector<std::byte> data;      // row-major, little-endian, exactly the elements

  std::size_t elements() const { return data.size() / size_of(type); }

  // Every element converted. An integer past 2^24 is rounded, as a cast does.
  std::vector<float> to_floats() const;
  // Fails with unsupported where the array is of floats.
  Result<std::vector<std::int64_t>> to_integers() const;
};

// A file without its data, for those who take that in pieces.
struct NpyHeader {
  NpyType type = NpyType::f32;
  std::vector<std::int64_t> shape;
  std::size_t data_begin = 0;  // in the file
  std::size_t data_bytes = 0;  // up to the file's end

  std::size_t elements() const { return data_bytes / size_of(type); }
};
// Touches nothing behind the header. Fails as parse_npy does.
Result<NpyHeader> read_npy_header(ByteView file, Bytes max_bytes = kNpyMaxBytes);
// `data` holds as many elements of that type as `out`; each is converted as a cast does.
void convert_npy(NpyType type, ByteView data, std::span<float> out);
void convert_npy(NpyType type, ByteView data, std::span<std::int64_t> out);
// What stands before the data. Fails with too_large.
Result<std::string> npy_header(NpyType type, std::span<const std::int64_t> shape);

// Fails with malformed (also: truncated), unsupported, or too_large past `max_bytes` of data.
Result<NpyArray> parse_npy(ByteView file, Bytes max_bytes = kNpyMaxBytes);

// As parse_npy; fails with not_found or io as well. Errors name the file.
Result<NpyArray> read_npy(const std::string& path, Bytes max_bytes = kNpyMaxBytes);

// The file's bytes. Fails with internal if the shape's product is not the number of values.
Result<std::string> format_npy(std::span<const std::int64_t> shape, std::span<const float> values);
Result<std::string> format_npy(std::span<const std::int64_t> shape,
                               std::span<const std::int64_t> values);
Result<std::string> format_npy(std::span<const std::int64_t> shape, std::span<const bool> values);

}  // namespace dermlens
