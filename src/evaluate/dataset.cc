#include "evaluate/dataset.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace dermlens::evaluate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxLine = 64 * 1024;

// One line of comma-separated values; doubled quotes inside quotes stand for one.
std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += c;
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

std::optional<long> number_of(std::string_view text) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Within the folder and nowhere else.
bool stays_inside(const fs::path& file) {
  return !file.empty() && file.is_relative() &&
         std::ranges::none_of(file, [](const fs::path& part) { return part == ".."; });
}

Result<std::vector<Example>> read_labels(const fs::path& folder, std::ifstream& in,
                                         const diagnose::Card& card) {
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> head = fields_of(line);
  const auto file = std::ranges::find(head, "file"), id = std::ranges::find(head, "class_id");
  if (file == head.end() || id == head.end())
    return fail(Errc::malformed, "labels.csv has no columns file and class_id");
  const auto file_at = static_cast<std::size_t>(file - head.begin());
  const auto id_at = static_cast<std::size_t>(id - head.begin());
  std::vector<Example> examples;
  for (std::size_t at = 2; std::getline(in, line); ++at) {
    if (line.empty() || line == "\r") continue;
    const std::vector<std::string> fields = fields_of(line);
    const bool whole = line.size() <= kMaxLine && fields.size() > std::max(file_at, id_at);
    std::optional<long> class_id;
    if (whole) class_id = fields[id_at].empty() ? -1 : number_of(fields[id_at]);
    if (!class_id || *class_id < -1 ||
        (*class_id >= 0 && static_cast<std::size_t>(*class_id) >= card.labels.size()) ||
        !stays_inside(fields[file_at]))
      return fail(Errc::malformed, "labels.csv, line ", at, ": no file within the folder with a ",
                  "class_id of -1 to ", card.labels.size() - 1);
    if (examples.size() == kMaxExamples)
      return fail(Errc::too_large, "labels.csv is too long (limit ", kMaxExamples, ")");
    examples.push_back({(folder / fields[file_at]).string(), std::nullopt});
    if (*class_id >= 0) examples.back().class_id = static_cast<std::size_t>(*class_id);
  }
  return examples;
}

bool is_called(const diagnose::Label& label, const std::string& name) {
  return label.key == name ||
         std::ranges::any_of(label.names, [&](const auto& other) { return other.second == name; });
}

// The class that a folder's name means: a number, -1 for photos of no known class, or nothing.
std::optional<long> class_of(const std::string& name, const diagnose::Card& card) {
  for (std::size_t i = 0; i < card.labels.size(); ++i)
    if (is_called(card.labels[i], name)) return static_cast<long>(i);
  if (name == "other" || name.starts_with("other_")) return -1;
  const auto id = number_of(std::string_view(name).substr(0, name.find('_')));
  if (!id || *id < 0 || static_cast<std::size_t>(*id) >= card.labels.size()) return std::nullopt;
  return id;
}

Result<std::vector<Example>> read_folders(const fs::path& folder, const diagnose::Card& card) {
  std::vector<Example> examples;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code inner;
    if (!at->is_directory(inner)) continue;
    const std::string name = at->path().filename().string();
    const auto id = class_of(name, card);
    if (!id) return fail(Errc::malformed, "folder '", name, "' is no class of the model");
    for (fs::directory_iterator file(at->path(), inner), last; !inner && file != last;
         file.increment(inner)) {
      std::error_code ignored;
      if (!file->is_regular_file(ignored)) continue;
      if (examples.size() == kMaxExamples)
        return fail(Errc::too_large, "too many photos (limit ", kMaxExamples, ")");
      examples.push_back({file->path().string(), std::nullopt});
      if (*id >= 0) examples.back().class_id = static_cast<std::size_t>(*id);
    }
    if (inner) return fail(Errc::io, name, ": ", inner.message());
  }
  if (error) return fail(Errc::io, folder.string(), ": ", error.message());
  std::ranges::sort(examples, {}, &Example::path);
  return examples;
}

}  // namespace

Result<std::vector<Example>> read_dataset(const std::string& folder, const diagnose::Card& card) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return fail(Errc::not_found, "no folder (", folder, ")");
  std::ifstream labels(fs::path(folder) / "labels.csv");
  auto examples = labels ? read_labels(folder, labels, card) : read_folders(folder, card);
  if (examples && examples->empty())
    return fail(Errc::not_found, "no labelled photo in the folder (", folder, ")");
  return examples;
}

}  // namespace dermlens::evaluate
