#include "diagnose/target.h"

#include <charconv>

namespace dermlens::diagnose {

Result<std::size_t> find_class(const Target& target, const Card& card, const Scores& scores) {
  const std::string& text = target.text;
  if (text == "top1") return rank(scores, 1).front().class_id;
  for (std::size_t i = 0; i < card.labels.size(); ++i)
    if (card.labels[i].key == text) return i;
  std::size_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error == std::errc() && end == text.data() + text.size() && id < card.labels.size())
    return id;
  for (std::size_t i = 0; i < card.labels.size(); ++i)
    for (const auto& [language, name] : card.labels[i].names)
      if (name == text) return i;
  return fail(Errc::usage, "no such class ('", std::string_view(text).substr(0, 128),
              "', top1, 0 to ", card.labels.size() - 1, ", or a class's name)");
}

}  // namespace dermlens::diagnose
