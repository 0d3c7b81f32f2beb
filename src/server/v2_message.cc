// Sizes first: a tensor's elements are counted from its shape and checked against the bytes that
// came before anything is stored.
#include "server/v2_message.h"

#include <algorithm>
#include <bit>
#include <boost/json/array.hpp>
#include <charconv>
#include <cstring>

#include "diagnose/base64.h"
#include "diagnose/json_text.h"
#include "server/base64.h"
#include "server/photo_input.h"

namespace dermlens::server {
namespace {

namespace json = boost::json;

static_assert(std::endian::native == std::endian::little, "the binary extension is little-endian");

constexpr std::size_t kMaxRank = 8;
constexpr std::size_t kMaxNames = 16;
constexpr std::size_t kMaxName = 200;

// The JSON's bytes and what follows it.
struct Sections {
  std::string_view head;
  std::string_view tail;
};

Result<Sections> split_body(const HttpRequest& request) {
  const std::string_view body = request.body.text();
  const std::string_view text = request.header("inference-header-content-length");
  if (text.empty()) return Sections{body, {}};
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length > body.size())
    return fail(Errc::malformed, "Inference-Header-Content-Length is wrong ('", text.substr(0, 40),
                "', ", body.size(), " bytes of body)");
  return Sections{body.substr(0, length), body.substr(length)};
}

Result<std::string> name_in(const json::value& object, std::string_view key) {
  const json::string* name = find_string(object, key);
  if (name == nullptr || name->empty() || name->size() > kMaxName)
    return fail(Errc::malformed, "'", key, "' of a tensor is missing or too long");
  return std::string(*name);
}

Result<std::vector<std::int64_t>> shape_in(const json::value& object) {
  const json::value* shape = find(object, "shape");
  const json::array* list = shape != nullptr ? shape->if_array() : nullptr;
  if (list == nullptr || list->size() > kMaxRank)
    return fail(Errc::malformed, "a tensor's shape is missing or has too many dimensions");
  std::vector<std::int64_t> dimensions;
  for (const json::value& dimension : *list) {
    const std::int64_t* number = dimension.if_int64();
    if (number == nullptr || *number < 0)
      return fail(Errc::malformed, "a tensor's dimension is not a number from 0 on");
    dimensions.push_back(*number);
  }
  return dimensions;
}

Result<Bytes> elements_of(const std::vector<std::int64_t>& shape) {
  Bytes count = 1;
  for (const std::int64_t dimension : shape) {
    TRY(count, checked_mul(count, static_cast<Bytes>(dimension)));
  }
  return count;
}

Result<void> flatten(const json::value& value, std::size_t most, std::vector<float>& out,
                     int depth = 0) {
  if (const json::array* list = value.if_array()) {
    if (depth > static_cast<int>(kMaxRank)) return fail(Errc::malformed, "data nests too deep");
    for (const json::value& item : *list) TRY_VOID(flatten(item, most, out, depth + 1));
    return {};
  }
  if (!value.is_number()) return fail(Errc::malformed, "data holds something that is no number");
  if (out.size() == most)
    return fail(Errc::malformed, "data has more elements than the shape says (", most, ")");
  out.push_back(static_cast<float>(value.to_number<double>()));
  return {};
}

// The raw bytes of a tensor that lies behind the JSON; empty where the JSON holds the data.
Result<std::optional<std::string_view>> binary_part(const json::value& tensor,
                                                    std::string_view tail) {
  const json::value* parameters = find(tensor, "parameters");
  const json::value* size = parameters != nullptr ? find(*parameters, "binary_data_size") : nullptr;
  if (size == nullptr) return std::optional<std::string_view>();
  const std::int64_t* bytes = size->if_int64();
  if (bytes == nullptr || *bytes < 0 || static_cast<std::uint64_t>(*bytes) != tail.size())
    return fail(Errc::malformed, "binary_data_size is not the bytes behind the JSON (", tail.size(),
                ")");
  return std::optional<std::string_view>(tail);
}

Result<void> read_floats(const json::value& tensor, std::optional<std::string_view> raw,
                         Bytes most_bytes, Ledger& ledger, V2Request& out) {
  TRY(const Bytes count, elements_of(out.input.shape));
  // Whatever is sent, an element takes a byte and a comma at least.
  if (count > most_bytes)
    return fail(Errc::malformed, "the shape says more elements than were sent (", count, ")");
  TRY(out.hold, ledger.reserve(Category::bodies, count * sizeof(float) + 1));
  if (raw) {
    if (raw->size() != count * sizeof(float))
      return fail(Errc::malformed, "the shape says ", count * sizeof(float), " bytes, ",
                  raw->size(), " were sent");
    out.input.values.resize(count);
    if (count != 0) std::memcpy(out.input.values.data(), raw->data(), raw->size());
    return {};
  }
  const json::value* data = find(tensor, "data");
  if (data == nullptr) return fail(Errc::malformed, "a tensor has no data");
  out.input.values.reserve(count);
  TRY_VOID(flatten(*data, count, out.input.values));
  if (out.input.values.size() != count)
    return fail(Errc::malformed, "the shape says ", count, " elements, ", out.input.values.size(),
                " were sent");
  return {};
}

Result<void> read_bytes(HttpRequest& request, const json::value& tensor,
                        std::optional<std::string_view> raw, Bytes max_upload, V2Request& out) {
  TRY(const Bytes count, elements_of(out.input.shape));
  if (count != 1) return fail(Errc::unsupported, "one photo at a time (", count, " were sent)");
  if (raw) {
    std::uint32_t length = 0;
    if (raw->size() < sizeof length)
      return fail(Errc::malformed, "a BYTES element is shorter than its length");
    std::memcpy(&length, raw->data(), sizeof length);
    if (raw->size() - sizeof length != length)
      return fail(Errc::malformed, "a BYTES element says ", length, " bytes, ",
                  raw->size() - sizeof length, " were sent");
    out.input.bytes = std::as_bytes(std::span(raw->substr(sizeof length)));
    return {};
  }
  const json::value* data = find(tensor, "data");
  for (std::size_t depth = 0; data != nullptr && data->is_array() && depth < kMaxRank; ++depth)
    data = data->get_array().size() == 1 ? &data->get_array().front() : nullptr;
  if (data == nullptr || !data->is_string())
    return fail(Errc::malformed, "BYTES data in JSON is one string of base64");
  TRY(out.input.bytes, decode_photo_text(data->get_string(), request.body.bytes(), max_upload));
  return {};
}

bool flag_in(const json::value& object, std::string_view name, bool otherwise) {
  const json::value* parameters = find(object, "parameters");
  const json::value* flag = parameters != nullptr ? find(*parameters, name) : nullptr;
  return flag != nullptr && flag->is_bool() ? flag->get_bool() : otherwise;
}

Result<void> read_outputs(const json::value& document, V2Request& out) {
  out.binary_by_default = flag_in(document, "binary_data_output", false);
  const json::value* outputs = find(document, "outputs");
  if (outputs == nullptr) return {};
  const json::array* list = outputs->if_array();
  if (list == nullptr || list->size() > kMaxNames)
    return fail(Errc::malformed, "'outputs' is not a list of at most ", kMaxNames);
  for (const json::value& output : *list) {
    TRY(std::string name, name_in(output, "name"));
    if (flag_in(output, "binary_data", out.binary_by_default)) out.binary.push_back(name);
    out.outputs.push_back(std::move(name));
  }
  return {};
}

void read_parameters(const json::value& document, V2Request& out) {
  const json::value* parameters = find(document, "parameters");
  const json::object* object = parameters != nullptr ? parameters->if_object() : nullptr;
  if (object == nullptr || object->size() > kMaxNames) return;
  for (const auto& member : *object) {
    if (const json::string* text = member.value().if_string())
      out.parameters.emplace_back(member.key(), *text);
    else if (member.value().is_number() || member.value().is_bool())
      out.parameters.emplace_back(member.key(), to_text(member.value()));
  }
}

}  // namespace

bool V2Request::wants(std::string_view output) const {
  return outputs.empty() || std::find(outputs.begin(), outputs.end(), output) != outputs.end();
}

Result<void> V2Request::check_outputs(std::span<const std::string_view> known) const {
  for (const std::string& output : outputs)
    if (std::find(known.begin(), known.end(), output) == known.end())
      return fail(Errc::malformed, "there is no output '", output, "' here");
  return {};
}

bool V2Request::as_bytes(std::string_view output) const {
  if (outputs.empty()) return binary_by_default;
  return std::find(binary.begin(), binary.end(), output) != binary.end();
}

Result<V2Request> read_v2_request(HttpRequest& request, Ledger& ledger, Bytes max_upload) {
  TRY(const Sections sections, split_body(request));
  TRY(const JsonBody document, JsonBody::parse(sections.head, ledger));
  V2Request out;
  if (const json::string* id = find_string(document.value(), "id");
      id != nullptr && id->size() <= kMaxName)
    out.id = std::string(*id);
  const json::value* inputs = find(document.value(), "inputs");
  const json::array* list = inputs != nullptr ? inputs->if_array() : nullptr;
  if (list == nullptr || list->size() != 1)
    return fail(Errc::malformed, "'inputs' is not a list of one tensor");
  const json::value& tensor = list->front();
  TRY(out.input.name, name_in(tensor, "name"));
  TRY(out.input.datatype, name_in(tensor, "datatype"));
  TRY(out.input.shape, shape_in(tensor));
  TRY_VOID(read_outputs(document.value(), out));
  read_parameters(document.value(), out);
  TRY(const auto raw, binary_part(tensor, sections.tail));
  if (out.input.datatype == "FP32") {
    TRY_VOID(read_floats(tensor, raw, request.body.size(), ledger, out));
  } else if (out.input.datatype == "BYTES") {
    TRY_VOID(read_bytes(request, tensor, raw, max_upload, out));
  } else {
    return fail(Errc::malformed, "an input is FP32 or BYTES ('", out.input.datatype, "')");
  }
  return out;
}

namespace {

json::object describe(const V2Output& output) {
  return {{"name", output.name},
          {"datatype", output.datatype},
          {"shape", json::array(output.shape.begin(), output.shape.end())}};
}

json::array data_of(const V2Output& output) {
  if (output.datatype == "BYTES")
    return {output.base64 ? diagnose::to_base64(output.bytes) : std::string(output.bytes)};
  json::array data;
  data.reserve(output.values.size());
  for (const float value : output.values) data.emplace_back(static_cast<double>(value));
  return data;
}

void append_raw(const V2Output& output, std::string& tail) {
  if (output.datatype == "BYTES") {
    const auto length = static_cast<std::uint32_t>(output.bytes.size());
    tail.append(reinterpret_cast<const char*>(&length), sizeof length);
    tail.append(output.bytes);
  } else {
    tail.append(reinterpret_cast<const char*>(output.values.data()), output.values.size_bytes());
  }
}

}  // namespace

Result<HttpResponse> write_v2_response(json::object head, const V2Request& request,
                                       const std::vector<V2Output>& outputs, Ledger& ledger) {
  HttpResponse response;
  Bytes needed = 4096;
  // In JSON: a value of 24 bytes and about as many digits for a number.
  for (const V2Output& output : outputs)
    needed += output.values.size() * 56 + output.bytes.size() * 4 + 1024;
  TRY(response.hold, ledger.reserve(Category::encode, needed));
  if (!request.id.empty()) head["id"] = request.id;
  json::array list;
  std::string tail;
  bool any_raw = false;
  for (const V2Output& output : outputs) {
    json::object entry = describe(output);
    if (request.as_bytes(output.name)) {
      const std::size_t before = tail.size();
      append_raw(output, tail);
      entry["parameters"] = {{"binary_data_size", tail.size() - before}};
      any_raw = true;
    } else {
      entry["data"] = data_of(output);
    }
    list.push_back(std::move(entry));
  }
  head["outputs"] = std::move(list);
  response.body = to_text(head);
  if (!any_raw) return response;
  response.headers.emplace_back("Inference-Header-Content-Length",
                                std::to_string(response.body.size()));
  response.content_type = "application/octet-stream";
  response.body += tail;
  return response;
}

}  // namespace dermlens::server
