// One function for each way in which clients send photos.
#include "server/photo_input.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cstdlib>

#include "server/base64.h"
#include "server/json_body.h"
#include "server/multipart.h"

namespace dermlens::server {
namespace {

template <class Number>
Result<Number> number(std::string_view name, std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return fail(Errc::usage, "parameter '", name.substr(0, 40), "' is not a number ('",
                text.substr(0, 40), "')");
  return value;
}

Result<bool> truth(std::string_view name, std::string_view text) {
  if (text == "1" || text == "true" || text == "yes" || text.empty()) return true;
  if (text == "0" || text == "false" || text == "no") return false;
  return fail(Errc::usage, "parameter '", name.substr(0, 40), "' is neither true nor false ('",
              text.substr(0, 40), "')");
}

// `output=overlay,overlay_url,map,photo`: what is not named is not made.
Result<void> apply_output(PhotoInput& input, std::string_view list) {
  input.overlay_in_answer = input.map_in_answer = false;
  input.wish.overlay = input.wish.photo = false;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (item == "overlay")
      input.overlay_in_answer = input.wish.overlay = true;
    else if (item == "overlay_url")
      input.overlay_by_link = input.wish.overlay = true;
    else if (item == "map")
      input.map_in_answer = true;
    else if (item == "photo")
      input.wish.photo = true;
    else
      return fail(Errc::usage, "parameter 'output' knows overlay, overlay_url, map and photo ('",
                  item.substr(0, 40), "')");
  }
  return {};
}

bool take_note(history::PatientNote& note, std::string_view name, std::string_view value) {
  std::string* const field = name == "age"               ? &note.age
                             : name == "gender"          ? &note.gender
                             : name == "symptom"         ? &note.symptom
                             : name == "illness_history" ? &note.illness_history
                             : name == "drug_history"    ? &note.drug_history
                                                         : nullptr;
  if (field != nullptr) *field = value;
  return field != nullptr;
}

Result<void> apply_field(PhotoInput& input, std::string_view name, std::string_view value) {
  if (value.size() > history::kMaxNote)
    return fail(Errc::too_large, "field '", name.substr(0, 40), "' is too long (", value.size(),
                " bytes, ", history::kMaxNote, ")");
  if (take_note(input.note, name, value)) return {};
  return apply_parameter(input, name, value);
}

Result<void> read_form_data(HttpRequest& request, PhotoInput& input, Bytes max_upload) {
  TRY(const std::string boundary, multipart_boundary(request.header("content-type")));
  TRY(const std::vector<Part> parts, parse_multipart(request.body.text(), boundary));
  const Part* photo = nullptr;
  for (const Part& part : parts) {
    if (part.name == "image") {
      if (photo != nullptr) return fail(Errc::malformed, "more than one field 'image'");
      photo = &part;
    } else if (part.is_file) {
      return fail(Errc::malformed, "a file in the field '",
                  std::string_view(part.name).substr(0, 40), "'; only 'image' takes one");
    } else {
      TRY_VOID(apply_field(input, part.name, part.content));
    }
  }
  if (photo == nullptr) return fail(Errc::malformed, "no field 'image'");
  if (photo->content.empty()) return fail(Errc::malformed, "the field 'image' is empty");
  if (!photo->is_file || photo->content.starts_with("data:image/")) {
    TRY(input.photo, decode_photo_text(photo->content, request.body.bytes(), max_upload));
  } else {
    input.photo = std::as_bytes(std::span(photo->content));
  }
  return {};
}

// A value of JSON's "parameters" as the text that a query would carry.
Result<std::string> parameter_text(std::string_view name, const boost::json::value& value) {
  if (const auto* text = value.if_string()) return std::string(*text);
  if (value.is_number() || value.is_bool()) return boost::json::serialize(value);
  if (const auto* list = value.if_array(); list != nullptr && list->size() <= 16) {
    std::string joined;
    for (const auto& item : *list) {
      const auto* text = item.if_string();
      if (text == nullptr || text->size() > history::kMaxNote)
        return fail(Errc::usage, "parameter '", name.substr(0, 40), "' is not a list of words");
      if (!joined.empty()) joined += ',';
      joined += std::string_view(*text);
    }
    return joined;
  }
  return fail(Errc::usage, "parameter '", name.substr(0, 40), "' is of a wrong type");
}

Result<void> read_json(App& app, HttpRequest& request, PhotoInput& input) {
  TRY(const JsonBody json, JsonBody::parse(request.body.text(), app.ledger));
  if (const auto* parameters = find(json.value(), "parameters")) {
    const auto* object = parameters->if_object();
    if (object == nullptr) return fail(Errc::malformed, "'parameters' is not an object");
    for (const auto& member : *object) {
      TRY(const std::string text, parameter_text(member.key(), member.value()));
      TRY_VOID(apply_field(input, member.key(), text));
    }
  }
  const boost::json::string* text = find_string(json.value(), "data");
  if (text == nullptr) text = find_string(json.value(), "image");
  if (text == nullptr)
    if (const auto* image = find(json.value(), "image")) text = find_string(*image, "b64");
  if (text == nullptr)
    return fail(Errc::malformed, R"(no photo in the JSON body ({"image":{"b64":"..."}}))");
  // The document holds its own copy of the text, so the body's bytes are free to take the photo.
  TRY(input.photo, decode_photo_text(*text, request.body.bytes(), app.options.max_upload));
  return {};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Decodes %XX in place, and '+' to what stands in `plus`.
Result<std::string_view> unescape(std::span<char> text, char plus) {
  std::size_t written = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i] == '+' ? plus : text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
      if (low < 0) return fail(Errc::malformed, "the form's percent encoding is broken");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    text[written++] = c;
  }
  return std::string_view(text.data(), written);
}

Result<void> read_urlencoded(HttpRequest& request, PhotoInput& input, Bytes max_upload) {
  char* const begin = reinterpret_cast<char*>(request.body.bytes().data());
  std::size_t at = 0;
  std::optional<std::string_view> photo;
  while (at < request.body.size()) {
    const std::string_view rest = request.body.text().substr(at);
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::size_t equals = std::min(rest.find('='), end);
    const std::string_view name = rest.substr(0, equals);
    const std::size_t from = std::min(equals + 1, end);
    const bool is_photo = name == "image";
    // In base64 it is a digit, which not every client escapes.
    const char plus = is_photo ? '+' : ' ';
    TRY(const std::string_view value, unescape({begin + at + from, end - from}, plus));
    if (is_photo) {
      if (photo) return fail(Errc::malformed, "more than one field 'image'");
      photo = value;
    } else {
      TRY_VOID(apply_field(input, name, value));
    }
    at += end + 1;
  }
  if (!photo) return fail(Errc::malformed, "no field 'image'");
  TRY(input.photo, decode_photo_text(*photo, request.body.bytes(), max_upload));
  return {};
}

}  // namespace

Result<ByteView> decode_photo_text(std::string_view text, std::span<std::byte> into,
                                   Bytes max_upload) {
  TRY(const std::string_view base64, strip_data_url(text));
  TRY(const std::size_t size, decode_base64(base64, into));
  if (size == 0) return fail(Errc::malformed, "the photo is empty");
  if (size > max_upload)
    return fail(Errc::too_large, "the photo is too large (", size, " bytes, ", max_upload, ")");
  return ByteView(into.first(size));
}

Result<void> apply_parameter(PhotoInput& input, std::string_view name, std::string_view value) {
  diagnose::Request& wish = input.wish;
  if (value.size() > history::kMaxNote)
    return fail(Errc::too_large, "parameter '", name.substr(0, 40), "' is too long (", value.size(),
                ")");
  if (name == "method") {
    TRY(wish.method, diagnose::parse_method(value));
  } else if (name == "layer") {
    wish.layer = value;
  } else if (name == "target") {
    wish.target.text = value;
  } else if (name == "score") {
    TRY(wish.score, diagnose::parse_score(value));
  } else if (name == "top_k") {
    TRY(wish.top_k, number<std::size_t>(name, value));
  } else if (name == "colormap") {
    TRY(wish.colormap, diagnose::parse_colormap(value));
  } else if (name == "alpha") {
    TRY(wish.alpha, number<float>(name, value));
  } else if (name == "output") {
    TRY_VOID(apply_output(input, value));
  } else if (name == "strict") {
    TRY(wish.strict, truth(name, value));
  } else if (name == "deadline_ms") {
    TRY(input.deadline_ms, number<double>(name, value));
  } else if (name == "keep") {
    TRY(input.keep, truth(name, value));
  }
  return {};
}

Result<PhotoInput> read_photo_input(App& app, HttpRequest& request, bool explain) {
  PhotoInput input;
  input.wish.explain = explain;
  input.wish.overlay = explain;
  input.wish.photo = explain;
  for (const auto& [name, value] : request.query) TRY_VOID(apply_parameter(input, name, value));
  const std::string media = request.media_type();
  const Bytes most = app.options.max_upload;
  if (media.starts_with("multipart/")) {
    TRY_VOID(read_form_data(request, input, most));
  } else if (media == "application/json") {
    TRY_VOID(read_json(app, request, input));
  } else if (media == "application/x-www-form-urlencoded") {
    TRY_VOID(read_urlencoded(request, input, most));
  } else if (media.starts_with("image/") || media == "application/octet-stream") {
    input.photo = request.body.view();
  } else {
    return fail(Errc::unsupported,
                "a photo comes as multipart/form-data, image/*, JSON or a form (",
                std::string_view(media).substr(0, 60), ")");
  }
  if (input.photo.empty()) return fail(Errc::malformed, "the photo is empty");
  if (input.photo.size() > most)
    return fail(Errc::too_large, "the photo is too large (", input.photo.size(), " bytes, ", most,
                ")");
  input.wish.overlay = input.wish.overlay && input.wish.explain;
  return input;
}

}  // namespace dermlens::server
