// The typed data fields of TensorProto, each of which may come packed, unpacked or in several
// pieces. Varint-coded ones have to be copied; the copy is bounded by the tensor's own dimensions
// and, as an element takes at least one byte, by eight times the file.
#include <exception>
#include <protozero/pbf_reader.hpp>

#include "onnx/protobuf.h"

namespace dermlens::onnx {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

tl::unexpected<Error> broken(const TensorView& tensor, const std::exception& error) {
  return fail(Errc::malformed, "broken protobuf in tensor '", tensor.name, "' (", error.what(),
              ")");
}

tl::unexpected<Error> miscounted(const TensorView& tensor, std::size_t found, std::size_t count) {
  return fail(Errc::malformed, "tensor '", tensor.name, "' has another number of elements than ",
              graph::to_string(tensor.dims), " says (", found, ", ", count, ")");
}

pbf_reader reader_of(const TensorView& tensor) {
  return pbf_reader(reinterpret_cast<const char*>(tensor.message.data()), tensor.message.size());
}

constexpr protozero::pbf_tag_type kFloatData = 4, kInt32Data = 5, kInt64Data = 7, kDoubleData = 10;

void append_integers(pbf_reader& reader, bool wide, std::size_t limit,
                     std::vector<std::int64_t>& values) {
  // One past the limit tells the caller that there are too many.
  const auto append = [&](auto range) {
    for (const std::int64_t value : range) {
      if (values.size() > limit) return;
      values.push_back(value);
    }
  };
  if (reader.wire_type() == pbf_wire_type::varint) {
    if (values.size() <= limit)
      values.push_back(wide ? reader.get_int64() : reader.get_int32());
    else
      reader.skip();
  } else if (reader.wire_type() == pbf_wire_type::length_delimited) {
    if (wide)
      append(reader.get_packed_int64());
    else
      append(reader.get_packed_int32());
  } else {
    reader.skip();
  }
}

}  // namespace

Result<std::vector<std::int64_t>> typed_integers(const TensorView& tensor, std::size_t count) {
  if (count > Limits::typed_elements)
    return fail(Errc::too_large, "elements of tensor '", tensor.name,
                "' that is not in raw bytes (", count, ", ", Limits::typed_elements, ")");
  // Before anything is set aside: an element takes at least a byte of the message.
  if (count > tensor.message.size()) return miscounted(tensor, 0, count);
  const bool wide = tensor.data_type == DataType::int64;
  std::vector<std::int64_t> values;
  values.reserve(count);
  try {
    pbf_reader reader = reader_of(tensor);
    while (reader.next()) {
      if (reader.tag() == (wide ? kInt64Data : kInt32Data))
        append_integers(reader, wide, count, values);
      else
        reader.skip();
    }
  } catch (const protozero::exception& error) {
    return broken(tensor, error);
  }
  if (values.size() != count) return miscounted(tensor, values.size(), count);
  return values;
}

Result<TypedReals> typed_reals(const TensorView& tensor, std::size_t count) {
  const bool wide = tensor.data_type == DataType::float64;
  const std::size_t element = wide ? sizeof(double) : sizeof(float);
  const auto single = wide ? pbf_wire_type::fixed64 : pbf_wire_type::fixed32;
  std::vector<ByteView> pieces;
  std::size_t bytes = 0;
  try {
    pbf_reader reader = reader_of(tensor);
    while (reader.next()) {
      if (reader.tag() != (wide ? kDoubleData : kFloatData)) {
        reader.skip();
        continue;
      }
      ByteView piece;
      if (reader.wire_type() == pbf_wire_type::length_delimited) {
        const auto view = reader.get_view();
        piece = {reinterpret_cast<const std::byte*>(view.data()), view.size()};
      } else if (reader.wire_type() == single) {
        // The value lies before the place where the reader stands after it.
        reader.skip();
        const auto rest = reader.data();
        piece = {reinterpret_cast<const std::byte*>(rest.data()) - element, element};
      } else {
        reader.skip();
        continue;
      }
      bytes += piece.size();
      if (bytes > count * element) return miscounted(tensor, bytes / element, count);
      pieces.push_back(piece);
    }
  } catch (const protozero::exception& error) {
    return broken(tensor, error);
  }
  if (bytes != count * element) return miscounted(tensor, bytes / element, count);
  TypedReals reals;
  if (pieces.size() == 1) {
    reals.in_place = pieces.front();
    return reals;
  }
  reals.copied.reserve(bytes);
  for (const ByteView piece : pieces)
    reals.copied.insert(reals.copied.end(), piece.begin(), piece.end());
  return reals;
}

}  // namespace dermlens::onnx
