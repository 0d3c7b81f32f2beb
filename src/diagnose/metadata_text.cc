#include "diagnose/metadata_text.h"

#include <algorithm>
#include <array>
#include <boost/json/memory_resource.hpp>
#include <boost/json/parser.hpp>
#include <cmath>
#include <limits>
#include <new>
#include <set>

#include "base/text.h"

namespace dermlens::diagnose {
namespace {

namespace json = boost::json;

tl::unexpected<Error> bad(std::string_view key, std::string_view why) {
  return fail(Errc::malformed, "bad model metadata (", key, ": ", why, ")");
}

// What a stranger's JSON becomes is many times its text.
constexpr Bytes kMostPerByte = 64;
// A label with a key in a set, and what its names take where it has some.
constexpr Bytes kLabel = 192, kNames = 384;

tl::unexpected<Error> too_much(std::string_view key, Bytes needed, Bytes most_bytes) {
  auto error = fail(Errc::over_limit, "the model's metadata does not fit (", key, ", up to ",
                    needed, " B, ", most_bytes, " B are free)");
  error.value().needed = needed;
  error.value().available = most_bytes;
  return error;
}

// The heap up to a bound, then std::bad_alloc.
class BoundedMemory final : public json::memory_resource {
 public:
  explicit BoundedMemory(Bytes most) : left_(most) {}
  Bytes left() const { return left_; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (bytes > left_) throw std::bad_alloc();
    void* memory = ::operator new(bytes, std::align_val_t(alignment));
    left_ -= bytes;
    return memory;
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    ::operator delete(memory, std::align_val_t(alignment));
    left_ += bytes;
  }
  bool do_is_equal(const json::memory_resource& other) const noexcept override {
    return this == &other;
  }

  Bytes left_;
};

Result<json::value> parse(std::string_view key, std::string_view value, std::size_t max_text,
                          BoundedMemory& memory) {
  if (value.size() > max_text)
    return fail(Errc::malformed, "bad model metadata (", key, ": ", value.size(), " bytes, limit ",
                max_text, ")");
  const Bytes most = memory.left();
  try {
    json::parse_options options;
    options.max_depth = 8;
    // The parser's stack, and what it makes.
    json::parser parser(&memory, options);
    parser.reset(&memory);
    boost::system::error_code error;
    parser.write(value.data(), value.size(), error);
    if (error) return bad(key, "not JSON");
    return parser.release();
  } catch (const std::bad_alloc&) {
    return too_much(key, value.size() * kMostPerByte, most);
  }
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

Result<void> check_count(std::size_t labels, std::size_t classes) {
  if (labels == classes) return {};
  return fail(Errc::malformed, "the model has ", classes, " classes but ", labels, " labels");
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
  BoundedMemory memory(kMaxTextBytes * kMostPerByte);
  TRY(const json::value parsed, parse(key, value, kMaxTextBytes, memory));
  return json::value(parsed, {});
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

Result<std::vector<Label>> read_labels(std::string_view key, std::string_view value,
                                       std::size_t classes, Bytes most_bytes) {
  BoundedMemory memory(most_bytes);
  TRY(const json::value parsed, parse(key, value, kMaxMetadataBytes, memory));
  const json::array* array = parsed.if_array();
  if (!array) return bad(key, "an array of labels is expected");
  TRY_VOID(check_count(array->size(), classes));
  const Bytes needed = value.size() + classes * (kLabel + kNames);
  if (needed > memory.left()) return too_much(key, needed, memory.left());
  std::vector<Label> labels;
  labels.reserve(classes);
  for (const json::value& entry : *array) {
    TRY(Label label, label_of(key, entry));
    labels.push_back(std::move(label));
  }
  TRY_VOID(check_labels(key, labels));
  return labels;
}

Result<std::vector<LocalizedText>> read_sentences(std::string_view key, std::string_view value,
                                                  Bytes most_bytes) {
  BoundedMemory memory(most_bytes);
  TRY(const json::value parsed, parse(key, value, kMaxMetadataBytes, memory));
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

Result<std::vector<Label>> read_label_lines(std::string_view place, std::string_view text,
                                            std::size_t classes, Bytes most_bytes) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) return bad(place, "no labels");
  TRY_VOID(check_count(static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1, classes));
  const Bytes needed = text.size() + classes * kLabel;
  if (needed > most_bytes) return too_much(place, needed, most_bytes);
  std::vector<Label> labels;
  labels.reserve(classes);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    TRY(std::string label, read_text(place, line, kMaxLabelBytes));
    labels.push_back({std::move(label), {}});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  TRY_VOID(check_labels(place, labels));
  return labels;
}

}  // namespace dermlens::diagnose
