// What the walkers over the messages share: field keys, bounded strings, and the edge where
// protozero's exceptions end. Seen by src/onnx/protobuf*.cc only.
#pragma once

#include <exception>
#include <new>
#include <protozero/pbf_reader.hpp>

#include "onnx/protobuf.h"

namespace dermlens::onnx::wire {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

inline constexpr auto kVarint = pbf_wire_type::varint;
inline constexpr auto kFixed32 = pbf_wire_type::fixed32;
inline constexpr auto kFixed64 = pbf_wire_type::fixed64;
inline constexpr auto kBytes = pbf_wire_type::length_delimited;

constexpr std::uint32_t field(protozero::pbf_tag_type tag, pbf_wire_type type) {
  return protozero::tag_and_type(tag, type);
}

inline pbf_reader reader_of(ByteView bytes) {
  return pbf_reader(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

inline ByteView bytes_of(pbf_reader& reader) {
  const auto view = reader.get_view();
  return {reinterpret_cast<const std::byte*>(view.data()), view.size()};
}

inline std::string_view text_of(pbf_reader& reader) {
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

// The edge of protozero: what it throws becomes malformed.
template <class Body>
auto guarded(std::string_view message, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return fail(Errc::malformed, "broken protobuf in ", message, " (", error.what(), ")");
  }
}

inline Result<void> bound(std::string_view what, std::size_t value, std::size_t limit) {
  if (value > limit) return fail(Errc::too_large, what, " (", value, ", ", limit, ")");
  return {};
}

inline Result<std::string_view> name_field(pbf_reader& reader, std::string_view what) {
  const std::string_view text = text_of(reader);
  TRY_VOID(bound(what, text.size(), Limits::name_bytes));
  return text;
}

}  // namespace dermlens::onnx::wire
