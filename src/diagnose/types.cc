// The names of diagnose's choices, as the command line, the API and JSON spell them.
#include "diagnose/types.h"

#include <span>

namespace dermlens::diagnose {
namespace {

template <class T>
struct Named {
  T value;
  std::string_view name;
};

constexpr Named<Method> kMethods[] = {
    {Method::gradcam, "gradcam"},   {Method::gradcam_plus_plus, "gradcam++"},
    {Method::hirescam, "hirescam"}, {Method::xgradcam, "xgradcam"},
    {Method::layercam, "layercam"}, {Method::eigencam, "eigencam"},
};
constexpr Named<Score> kScores[] = {{Score::logit, "logit"}, {Score::probability, "probability"}};

template <class T>
std::string_view name_in(std::span<const Named<T>> table, T value) {
  for (const auto& row : table)
    if (row.value == value) return row.name;
  return "?";
}

template <class T>
Result<T> parse_in(std::span<const Named<T>> table, std::string_view what, std::string_view text) {
  std::string known;
  for (const auto& row : table) {
    if (row.name == text) return row.value;
    known += known.empty() ? "" : ", ";
    known += row.name;
  }
  return fail(Errc::usage, "unknown ", what, " '", text.substr(0, 64), "' (known: ", known, ")");
}

}  // namespace

std::string_view to_string(Method method) { return name_in<Method>(kMethods, method); }
std::string_view to_string(Score score) { return name_in<Score>(kScores, score); }

Result<Method> parse_method(std::string_view text) {
  return parse_in<Method>(kMethods, "method", text);
}
Result<Score> parse_score(std::string_view text) { return parse_in<Score>(kScores, "score", text); }

const std::string& Label::name(std::string_view language) const {
  const auto found = names.find(std::string(language));
  return found == names.end() ? key : found->second;
}

const std::string& LocalizedText::in(std::string_view language) const {
  static const std::string nothing;
  for (const auto wanted : {language, std::string_view("en")})
    if (const auto found = by_language.find(std::string(wanted)); found != by_language.end())
      return found->second;
  return by_language.empty() ? nothing : by_language.begin()->second;
}

}  // namespace dermlens::diagnose
