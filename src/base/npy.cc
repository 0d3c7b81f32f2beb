// Reads the header's Python dict with a small scanner that knows just what NumPy writes. Never
// believes a length: the data must be exactly as long as the shape says.
#include "base/npy.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/mapped_file.h"

namespace dermlens {
namespace {

static_assert(std::endian::native == std::endian::little, "data is copied as it lies in the file");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 64 * 1024;  // NumPy itself distrusts more than 10,000

struct Header {
  std::optional<NpyType> type;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;
};

// A cursor over the header's text. Each taker skips blanks first.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool take(std::string_view token) {
    skip_blanks();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  Result<std::string_view> quoted() {
    skip_blanks();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"'))
      return fail(Errc::malformed, "npy header: string expected");
    const std::size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos)
      return fail(Errc::malformed, "npy header: string without end");
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }

  Result<std::int64_t> dimension() {
    skip_blanks();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{} || value < 0)
      return fail(Errc::malformed, "npy header: dimension expected");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }

 private:
  void skip_blanks() {
    const std::size_t start = rest_.find_first_not_of(" \n\t");
    rest_.remove_prefix(start == std::string_view::npos ? rest_.size() : start);
  }

  std::string_view rest_;
};

Result<NpyType> parse_type(std::string_view descr) {
  if (descr == "<f4") return NpyType::f32;
  if (descr == "<f8") return NpyType::f64;
  if (descr == "<i8") return NpyType::i64;
  if (descr == "<i4") return NpyType::i32;
  if (descr == "|u1") return NpyType::u8;
  if (descr == "|b1") return NpyType::boolean;
  return fail(Errc::unsupported, "npy: element type (", descr.substr(0, 32),
              ", we read <f4 <f8 <i8 <i4 |u1 |b1)");
}

Result<std::vector<std::int64_t>> parse_shape(Scanner& scanner) {
  if (!scanner.take("(")) return fail(Errc::malformed, "npy header: shape is no tuple");
  std::vector<std::int64_t> shape;
  bool closed = scanner.take(")");
  while (!closed) {
    if (shape.size() == kNpyMaxRank)
      return fail(Errc::too_large, "npy: too many dimensions (limit ", kNpyMaxRank, ")");
    TRY(const std::int64_t size, scanner.dimension());
    shape.push_back(size);
    const bool comma = scanner.take(",");
    closed = scanner.take(")");
    if (!comma && !closed) return fail(Errc::malformed, "npy header: shape is no tuple");
  }
  return shape;
}

Result<void> parse_entry(Scanner& scanner, Header& header) {
  TRY(const std::string_view key, scanner.quoted());
  if (!scanner.take(":")) return fail(Errc::malformed, "npy header: ':' expected");
  if (key == "descr" && !header.type) {
    TRY(const std::string_view descr, scanner.quoted());
    TRY(header.type, parse_type(descr));
  } else if (key == "fortran_order" && !header.fortran_order) {
    header.fortran_order = scanner.take("True");
    if (!*header.fortran_order && !scanner.take("False"))
      return fail(Errc::malformed, "npy header: fortran_order is neither True nor False");
  } else if (key == "shape" && !header.shape) {
    TRY(header.shape, parse_shape(scanner));
  } else {
    return fail(Errc::malformed, "npy header: unexpected key (", key.substr(0, 32), ")");
  }
  return {};
}

Result<Header> parse_header(std::string_view text) {
  Scanner scanner(text);
  Header header;
  if (!scanner.take("{")) return fail(Errc::malformed, "npy header: no dict");
  bool closed = scanner.take("}");
  while (!closed) {
    TRY_VOID(parse_entry(scanner, header));
    const bool comma = scanner.take(",");
    closed = scanner.take("}");
    if (!comma && !closed) return fail(Errc::malformed, "npy header: no dict");
  }
  if (!scanner.at_end()) return fail(Errc::malformed, "npy header: text after the dict");
  if (!header.type || !header.fortran_order || !header.shape)
    return fail(Errc::malformed, "npy header: descr, fortran_order or shape is missing");
  if (*header.fortran_order)
    return fail(Errc::unsupported, "npy: Fortran order (save it with numpy.ascontiguousarray)");
  return header;
}

// Splits the file behind magic and version into header text and data.
Result<std::pair<std::string_view, ByteView>> split(ByteView file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kMagic) || text.size() < 10)
    return fail(Errc::malformed, "not an npy file");
  const unsigned version = std::to_integer<unsigned>(file[6]);
  if (version < 1 || version > 3)
    return fail(Errc::unsupported, "npy: version (", version, ", we read 1 to 3)");
  const std::size_t width = version == 1 ? 2 : 4;
  const std::size_t start = 8 + width;
  if (file.size() < start) return fail(Errc::malformed, "npy: ends inside the header");
  std::uint32_t length = 0;
  std::memcpy(&length, file.data() + 8, width);
  if (length > kMaxHeader)
    return fail(Errc::too_large, "npy: header (", length, " B, limit ", kMaxHeader, " B)");
  if (file.size() - start < length) return fail(Errc::malformed, "npy: ends inside the header");
  return std::pair{text.substr(start, length), file.subspan(start + length)};
}

template <class From, class To>
void convert_from(ByteView data, std::span<To> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    From value{};
    std::memcpy(&value, data.data() + i * sizeof(From), sizeof(From));
    out[i] = static_cast<To>(value);
  }
}

template <class To>
void convert(NpyType type, ByteView data, std::span<To> out) {
  CHECK(data.size() == out.size() * size_of(type));
  switch (type) {
    case NpyType::f32:
      return convert_from<float>(data, out);
    case NpyType::f64:
      return convert_from<double>(data, out);
    case NpyType::i64:
      return convert_from<std::int64_t>(data, out);
    case NpyType::i32:
      return convert_from<std::int32_t>(data, out);
    case NpyType::u8:
    case NpyType::boolean:
      return convert_from<std::uint8_t>(data, out);
  }
}

std::string_view descr_of(NpyType type) {
  constexpr std::string_view kDescriptions[] = {"<f4", "<f8", "<i8", "<i4", "|u1", "|b1"};
  return kDescriptions[static_cast<std::size_t>(type)];
}

template <class T>
Result<std::string> format(NpyType type, std::span<const std::int64_t> shape,
                           std::span<const T> values) {
  TRY(std::string file, npy_header(type, shape));
  Bytes count = 1;
  for (const std::int64_t size : shape) {
    TRY(const Bytes dimension, checked_cast<Bytes>(size));
    TRY(count, checked_mul(count, dimension));
  }
  if (count != values.size())
    return fail(Errc::internal, "npy: the shape has ", count, " elements, given are ",
                values.size());
  file.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return file;
}

}  // namespace

std::string_view to_string(NpyType type) {
  constexpr std::string_view kNames[] = {"f32", "f64", "i64", "i32", "u8", "bool"};
  return kNames[static_cast<std::size_t>(type)];
}

Bytes size_of(NpyType type) {
  constexpr Bytes kSizes[] = {4, 8, 8, 4, 1, 1};
  return kSizes[static_cast<std::size_t>(type)];
}

void convert_npy(NpyType type, ByteView data, std::span<float> out) { convert(type, data, out); }

void convert_npy(NpyType type, ByteView data, std::span<std::int64_t> out) {
  convert(type, data, out);
}

std::vector<float> NpyArray::to_floats() const {
  std::vector<float> values(elements());
  convert_npy(type, data, values);
  return values;
}

Result<std::vector<std::int64_t>> NpyArray::to_integers() const {
  if (type == NpyType::f32 || type == NpyType::f64)
    return fail(Errc::unsupported, "npy: integers expected (", to_string(type), ")");
  std::vector<std::int64_t> values(elements());
  convert_npy(type, data, values);
  return values;
}

Result<NpyHeader> read_npy_header(ByteView file, Bytes max_bytes) {
  TRY(const auto parts, split(file));
  TRY(Header header, parse_header(parts.first));
  Bytes need = size_of(*header.type);
  for (const std::int64_t size : *header.shape) {
    TRY(need, checked_mul(need, static_cast<Bytes>(size)));
  }
  if (need > max_bytes) return fail(Errc::too_large, "npy: ", need, " B, limit ", max_bytes, " B");
  if (need != parts.second.size())
    return fail(Errc::malformed, "npy: the shape needs ", need, " B of data, the file has ",
                parts.second.size());
  return NpyHeader{*header.type, std::move(*header.shape), file.size() - need, need};
}

Result<std::string> npy_header(NpyType type, std::span<const std::int64_t> shape) {
  std::string header("{'descr': '");
  header.append(descr_of(type)).append("', 'fortran_order': False, 'shape': (");
  for (const std::int64_t size : shape)
    header.append(std::to_string(size)).append(shape.size() == 1 ? "," : ", ");
  if (shape.size() > 1) header.resize(header.size() - 2);
  header.append("), }");
  // NumPy wants the data to start at a multiple of 64.
  header.resize(align_up(10 + header.size() + 1, 64) - 10 - 1, ' ');
  header.push_back('\n');
  TRY(const std::uint16_t length, checked_cast<std::uint16_t>(header.size()));
  std::string file(kMagic);
  file.append("\x01\x00", 2);
  file.append(reinterpret_cast<const char*>(&length), sizeof(length));
  return file + header;
}

Result<NpyArray> parse_npy(ByteView file, Bytes max_bytes) {
  TRY(NpyHeader header, read_npy_header(file, max_bytes));
  const ByteView data = file.subspan(header.data_begin);
  return NpyArray{header.type, std::move(header.shape), {data.begin(), data.end()}};
}

Result<NpyArray> read_npy(const std::string& path, Bytes max_bytes) {
  TRY(const auto file, MappedFile::open(path));
  auto array = parse_npy(file->bytes(), max_bytes);
  if (!array) return within(path, array.error());
  if (file->damaged()) return fail(Errc::corrupt, "file changed while it was read (", path, ")");
  return array;
}

Result<std::string> format_npy(std::span<const std::int64_t> shape, std::span<const float> values) {
  return format(NpyType::f32, shape, values);
}

Result<std::string> format_npy(std::span<const std::int64_t> shape,
                               std::span<const std::int64_t> values) {
  return format(NpyType::i64, shape, values);
}

Result<std::string> format_npy(std::span<const std::int64_t> shape, std::span<const bool> values) {
  return format(NpyType::boolean, shape, values);
}

}  // namespace dermlens
