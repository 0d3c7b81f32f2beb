#include "diagnose/metadata_text.h"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "base/text.h"

namespace dermlens::diagnose {
namespace {

namespace json = boost::json;

tl::unexpected<Error> bad(std::string_view key, std::string_view why) {
  return fail(Errc::malformed, "bad model metadata (", key, ": ", why, ")");
}

// A JSON string as clean text.
Result<std::string> text_of(std::string_view key, const json::value& value, std::size_t max_bytes) {
  const json::string* text = value.if_string();
  if (!text) return bad(key, "a string is expected");
  return read_text(key, std::string_view(text->data(), text->size()), max_bytes);
}

// The languages of an object such as {"en":"...","vi":"..."}; other members are ignored.
Result<std::map<std::string, std::string>> languages_of(std::string_view key,
                                                        const json::object& object,
                                                        std::size_t max_bytes) {
  std::map<std::string, std::string> texts;
  for (const char* language : {"en", "vi"})
    if (const json::value* value = object.if_contains(language)) {
      TRY(std::string text, text_of(key, *value, max_bytes));
      texts.emplace(language, std::move(text));
    }
  return texts;
}

Result<Label> label_of(std::string_view key, const json::value& value) {
  if (const json::object* object = value.if_object()) {
    const json::value* own = object->if_contains("key");
    if (!own) return bad(key, "an entry has no \"key\"");
    TRY(std::string text, text_of(key, *own, kMaxLabelBytes));
    TRY(auto names, languages_of(key, *object, kMaxLabelBytes));
    return Label{std::move(text), std::move(names)};
  }
  TRY(std::string text, text_of(key, value, kMaxLabelBytes));
  return Label{std::move(text), {}};
}

Result<void> check_labels(std::string_view key, const std::vector<Label>& labels) {
  std::set<std::string_view> seen;
  for (const Label& label : labels) {
    if (label.key.empty()) return bad(key, "a label is empty");
    if (!seen.insert(label.key).second) return bad(key, "two labels are the same");
  }
  return {};
}

}  // namespace

Result<std::string> read_text(std::string_view key, std::string_view value, std::size_t max_bytes) {
  if (value.size() > max_bytes)
    return fail(Errc::malformed, "bad model metadata (", key, ": ", value.size(), " bytes, limit ",
                max_bytes, ")");
  if (!is_clean_text(value)) return bad(key, "not UTF-8, or control characters");
  return std::string(value);
}

Result<json::value> read_json(std::string_view key, std::string_view value) {
  if (value.size() > kMaxMetadataBytes)
    return fail(Errc::malformed, "bad model metadata (", key, ": ", value.size(), " bytes, limit ",
                kMaxMetadataBytes, ")");
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 8;
  json::value parsed = json::parse({value.data(), value.size()}, error, {}, options);
  if (error) return bad(key, "not JSON");
  return parsed;
}

Result<float> read_number(std::string_view key, const json::value& value) {
  boost::system::error_code error;
  const auto number = value.to_number<double>(error);
  if (error || !std::isfinite(number) ||
      std::abs(number) > static_cast<double>(std::numeric_limits<float>::max()))
    return bad(key, "a finite number is expected");
  return static_cast<float>(number);
}

Result<float> read_number(std::string_view key, std::string_view value) {
  TRY(const json::value parsed, read_json(key, value));
  return read_number(key, parsed);
}

Result<std::size_t> read_choice(std::string_view key, std::string_view value,
                                std::initializer_list<std::string_view> choices) {
  std::string known;
  for (const std::string_view& choice : choices) {
    if (choice == value) return static_cast<std::size_t>(&choice - choices.begin());
    known += known.empty() ? "" : " or ";
    known += choice;
  }
  return bad(key, known + " is expected");
}

Result<std::vector<Label>> read_labels(std::string_view key, std::string_view value) {
  TRY(const json::value parsed, read_json(key, value));
  const json::array* array = parsed.if_array();
  if (!array || array->empty() || array->size() > kMaxClasses)
    return bad(key, "an array of 1 to 65536 labels is expected");
  std::vector<Label> labels;
  for (const json::value& entry : *array) {
    TRY(Label label, label_of(key, entry));
    labels.push_back(std::move(label));
  }
  TRY_VOID(check_labels(key, labels));
  return labels;
}

Result<std::vector<LocalizedText>> read_sentences(std::string_view key, std::string_view value) {
  TRY(const json::value parsed, read_json(key, value));
  const json::array* array = parsed.if_array();
  if (!array || array->size() > kMaxSentences)
    return bad(key, "an array of at most 64 sentences is expected");
  std::vector<LocalizedText> sentences;
  for (const json::value& entry : *array) {
    LocalizedText sentence;
    if (const json::object* object = entry.if_object()) {
      TRY(sentence.by_language, languages_of(key, *object, kMaxTextBytes));
    } else {
      TRY(std::string text, text_of(key, entry, kMaxTextBytes));
      sentence.by_language.emplace("en", std::move(text));
    }
    if (sentence.by_language.empty()) return bad(key, "a sentence has no \"en\" or \"vi\"");
    sentences.push_back(std::move(sentence));
  }
  return sentences;
}

Result<std::pair<std::int64_t, std::int64_t>> read_picture_size(std::string_view value) {
  constexpr std::string_view kKey = "dermlens.size";
  TRY(const json::value parsed, read_json(kKey, value));
  const json::array* array = parsed.if_array();
  if (!array || array->size() != 2) return bad(kKey, "[height, width] is expected");
  std::array<std::int64_t, 2> sides{};
  for (std::size_t i = 0; i < 2; ++i) {
    boost::system::error_code error;
    sides[i] = (*array)[i].to_number<std::int64_t>(error);
    if (error || sides[i] < 1 || sides[i] > 65536) return bad(kKey, "[height, width] is expected");
  }
  return std::pair(sides[0], sides[1]);
}

Result<std::vector<Label>> read_label_lines(std::string_view place, std::string_view text) {
  std::vector<Label> labels;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (labels.size() >= kMaxClasses) return bad(place, "more than 65536 labels");
    TRY(std::string label, read_text(place, line, kMaxLabelBytes));
    labels.push_back({std::move(label), {}});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  while (!labels.empty() && labels.back().key.empty()) labels.pop_back();
  TRY_VOID(check_labels(place, labels));
  if (labels.empty()) return bad(place, "no labels");
  return labels;
}

}  // namespace dermlens::diagnose
