// Where a tensor's elements lie: raw bytes, typed fields, or a file beside the model.
#include "onnx/tensors.h"

#include <charconv>
#include <cstring>
#include <filesystem>

namespace dermlens::onnx {
namespace {

namespace fs = std::filesystem;
using graph::DType;

constexpr std::size_t kMaxExternalFiles = 64;

template <class T>
void put(std::vector<std::byte>& bytes, std::size_t index, T value) {
  std::memcpy(bytes.data() + index * sizeof(T), &value, sizeof(T));
}

// The range of the values that an element of a typed integer field may have.
std::pair<std::int64_t, std::int64_t> range_of(DType type) {
  switch (type) {
    case DType::i8:
      return {-128, 127};
    case DType::u8:
      return {0, 255};
    case DType::boolean:
      return {0, 1};
    case DType::f16:
    case DType::bf16:
      return {0, 0xFFFF};  // the bits of the number
    case DType::i32:
      return {INT32_MIN, INT32_MAX};
    default:
      return {INT64_MIN, INT64_MAX};
  }
}

Result<Bytes> decimal(std::string_view text, std::string_view what, Bytes absent) {
  if (text.empty()) return absent;
  Bytes value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return fail(Errc::malformed, "external data's ", what, " is no number ('", text, "')");
  return value;
}

// Whether `path` lies in `folder` or below; both canonical.
bool is_inside(const fs::path& folder, const fs::path& path) {
  const auto [rest, unused] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return rest == folder.end();
}

std::vector<std::byte> pack_integers(DType type, std::span<const std::int64_t> values) {
  std::vector<std::byte> bytes(values.size() * graph::size_of(type));
  for (std::size_t i = 0; i < values.size(); ++i) {
    switch (graph::size_of(type)) {
      case 1:
        put(bytes, i, static_cast<std::uint8_t>(values[i]));
        break;
      case 2:
        put(bytes, i, static_cast<std::uint16_t>(values[i]));
        break;
      case 4:
        put(bytes, i, static_cast<std::int32_t>(values[i]));
        break;
      default:
        put(bytes, i, values[i]);
    }
  }
  return bytes;
}

}  // namespace

Result<DType> stored_type(DataType type) {
  switch (type) {
    case DataType::float32:
      return DType::f32;
    case DataType::float16:
      return DType::f16;
    case DataType::bfloat16:
      return DType::bf16;
    case DataType::float64:
      return DType::f64;
    case DataType::int8:
      return DType::i8;
    case DataType::uint8:
      return DType::u8;
    case DataType::int32:
      return DType::i32;
    case DataType::int64:
      return DType::i64;
    case DataType::boolean:
      return DType::boolean;
    default:
      return fail(Errc::unsupported, "element type ", name_of(type));
  }
}

DType logical_type(DType stored) { return graph::is_float(stored) ? DType::f32 : stored; }

TypedConstant own_bytes(DType stored_as, graph::Shape shape, std::vector<std::byte> bytes) {
  auto owned = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  TypedConstant result;
  result.type = {logical_type(stored_as), std::move(shape)};
  result.constant.stored_as = stored_as;
  result.constant.stored = ByteView(*owned);
  result.owned_bytes = owned->size();
  result.constant.owner = std::move(owned);
  return result;
}

Result<void> check_integers(DType type, std::span<const std::int64_t> values) {
  const auto [low, high] = range_of(type);
  for (const std::int64_t value : values)
    if (value < low || value > high)
      return fail(Errc::malformed, "element out of the range of ", to_string(type), " (", value,
                  ")");
  return {};
}

TypedConstant own_integers(DType type, graph::Shape shape, std::span<const std::int64_t> values) {
  return own_bytes(type, std::move(shape), pack_integers(type, values));
}

TypedConstant own_floats(graph::Shape shape, std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return own_bytes(DType::f32, std::move(shape), {bytes.begin(), bytes.end()});
}

Result<TypedConstant> TensorReader::read(const TensorView& tensor) {
  TRY(const DType stored_as, stored_type(tensor.data_type));
  graph::TensorType stored{stored_as, tensor.dims};
  TRY_VOID(graph::count(stored.shape));
  if (tensor.external) return read_external(tensor, std::move(stored));
  if (!tensor.raw) return read_typed(tensor, std::move(stored));
  if (tensor.raw->size() != stored.bytes())
    return fail(Errc::malformed, "raw data's bytes are not those of ", to_string(stored), " (",
                tensor.raw->size(), ", ", stored.bytes(), ")");
  TypedConstant result;
  result.type = {logical_type(stored_as), std::move(stored.shape)};
  result.constant.stored_as = stored_as;
  result.constant.stored = *tensor.raw;
  result.constant.owner = owner_;
  return result;
}

Result<TypedConstant> TensorReader::read_typed(const TensorView& tensor, graph::TensorType stored) {
  if (stored.dtype == DType::f32 || stored.dtype == DType::f64) {
    TRY(TypedReals reals, typed_reals(tensor, stored.elements()));
    if (!reals.in_place) return own_bytes(stored.dtype, stored.shape, std::move(reals.copied));
    TypedConstant result;
    result.type = {DType::f32, std::move(stored.shape)};
    result.constant.stored_as = stored.dtype;
    result.constant.stored = *reals.in_place;
    result.constant.owner = owner_;
    return result;
  }
  TRY(const auto values, typed_integers(tensor, stored.elements()));
  TRY_VOID(check_integers(stored.dtype, values));
  return own_integers(stored.dtype, std::move(stored.shape), values);
}

Result<std::shared_ptr<const MappedFile>> TensorReader::open_beside(std::string_view location) {
  if (folder_.empty())
    return fail(Errc::unsupported, "external data in a model that is not read from a file");
  if (const auto found = by_location_.find(location); found != by_location_.end())
    return found->second;
  const fs::path relative(location);
  if (location.empty() || location.find('\0') != location.npos || relative.is_absolute())
    return fail(Errc::malformed, "external data's location is not a relative path ('", location,
                "')");
  for (const fs::path& part : relative)
    if (part == "..")
      return fail(Errc::malformed, "external data's location leaves the model's folder ('",
                  location, "')");
  if (by_location_.size() >= kMaxExternalFiles)
    return fail(Errc::too_large, "files of external data (", kMaxExternalFiles + 1, ", ",
                kMaxExternalFiles, ")");
  std::error_code error;
  const fs::path folder = fs::canonical(folder_, error);
  if (error) return fail(Errc::io, "cannot resolve '", folder_, "' (", error.message(), ")");
  const fs::path path = fs::canonical(folder / relative, error);
  if (error)
    return fail(error == std::errc::no_such_file_or_directory ? Errc::not_found : Errc::io,
                "no external data '", location, "' (", error.message(), ")");
  if (!is_inside(folder, path))
    return fail(Errc::malformed, "external data's location leaves the model's folder ('", location,
                "')");
  TRY(auto file, MappedFile::open(path.string()));
  files_.push_back(file);
  by_location_.emplace(location, file);
  return file;
}

Result<TypedConstant> TensorReader::read_external(const TensorView& tensor,
                                                  graph::TensorType stored) {
  TRY(auto file, open_beside(tensor.location));
  const Bytes size = file->bytes().size();
  TRY(const Bytes offset, decimal(tensor.offset, "offset", 0));
  const Bytes need = stored.bytes();
  TRY(const Bytes length, decimal(tensor.length, "length", need));
  if (length != need)
    return fail(Errc::malformed, "external data's bytes are not those of ", to_string(stored), " (",
                length, ", ", need, ")");
  if (offset > size || need > size - offset)
    return fail(Errc::malformed, "external data overruns '", tensor.location, "' (", offset, " + ",
                need, ", ", size, ")");
  TypedConstant result;
  result.type = {logical_type(stored.dtype), std::move(stored.shape)};
  result.constant.stored_as = stored.dtype;
  result.constant.stored = file->bytes().subspan(offset, need);
  result.constant.owner = std::move(file);
  return result;
}

}  // namespace dermlens::onnx
