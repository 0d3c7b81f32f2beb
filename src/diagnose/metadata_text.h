// Bounded readings of single metadata values: text, numbers, JSON. Each failure is malformed and
// names the key; over_limit where a list of labels or sentences does not fit into `most_bytes`.
#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diagnose/types.h"

namespace dermlens::diagnose {

inline constexpr std::size_t kMaxMetadataBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxTextBytes = 4096;
inline constexpr std::size_t kMaxLabelBytes = 512;
inline constexpr std::size_t kMaxClasses = 65536;
inline constexpr std::size_t kMaxSentences = 64;

Result<std::string> read_text(std::string_view key, std::string_view value, std::size_t max_bytes);
// At most kMaxTextBytes of JSON.
Result<boost::json::value> read_json(std::string_view key, std::string_view value);
// A finite JSON number that also fits into a float.
Result<float> read_number(std::string_view key, const boost::json::value& value);
Result<float> read_number(std::string_view key, std::string_view value);
// One of `choices`; its index.
Result<std::size_t> read_choice(std::string_view key, std::string_view value,
                                std::initializer_list<std::string_view> choices);
// A label for each of `classes`.
Result<std::vector<Label>> read_labels(std::string_view key, std::string_view value,
                                       std::size_t classes, Bytes most_bytes);
Result<std::vector<LocalizedText>> read_sentences(std::string_view key, std::string_view value,
                                                  Bytes most_bytes);

// JSON [height, width], each 1 to 65536: dermlens.size.
Result<std::pair<std::int64_t, std::int64_t>> read_picture_size(std::string_view value);

// One key a line, for each of `classes`; empty lines at the end and \r are ignored.
Result<std::vector<Label>> read_label_lines(std::string_view place, std::string_view text,
                                            std::size_t classes, Bytes most_bytes);

}  // namespace dermlens::diagnose
