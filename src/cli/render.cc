#include "cli/render.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "cli/application.h"

namespace dermlens::cli {
namespace {

constexpr double kBarColumns = 20;

bool utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (const char* value = std::getenv(name); value && *value) {
      const std::string_view text = value;
      return text.find("UTF-8") != text.npos || text.find("utf8") != text.npos;
    }
  return false;
}

std::string bar(double fraction) {
  static const std::string_view block = utf8_locale() ? "\u2588" : "#";
  std::string text;
  for (auto n = std::lround(fraction * kBarColumns); n > 0; --n) text += block;
  return text;
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80;
  }));
}

void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows,
                 std::string_view indent, const std::vector<std::size_t>& right) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    if (row.size() > widths.size()) widths.resize(row.size(), 0);
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  for (const auto& row : rows) {
    std::string line(indent);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - columns_of(row[i]), ' ');
      const bool to_right = std::find(right.begin(), right.end(), i) != right.end();
      line += to_right ? gap + row[i] : row[i] + gap;
      if (i + 1 < row.size()) line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

std::string percent(double fraction) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", fraction * 100);
  return text;
}

void print_predictions(std::ostream& out, const diagnose::Answer& answer,
                       const diagnose::Card& card) {
  std::vector<std::vector<std::string>> rows;
  for (const diagnose::Prediction& prediction : answer.predictions)
    rows.push_back({std::to_string(prediction.class_id), card.labels[prediction.class_id].key,
                    percent(prediction.probability), bar(prediction.probability)});
  print_table(out, rows, "  ", {0, 2});
}

void print_warnings(const std::vector<std::string>& warnings) {
  static std::set<std::string> said;
  for (const std::string& warning : warnings)
    if (said.insert(warning).second) print_warning(warning);
}

}  // namespace dermlens::cli
