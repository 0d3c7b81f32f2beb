// Records as CSV lines, and the times in them.
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "history/store.h"

namespace dermlens::history {
namespace {

// A spreadsheet runs what begins with one of these.
bool looks_like_formula(std::string_view text) {
  return !text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
}

std::string cell(std::string_view text) {
  std::string out = "\"";
  if (looks_like_formula(text)) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out += '"';
}

}  // namespace

std::string csv_header() {
  return "id,created,model,model_version,class,probability,age,gender,symptom,illness_history,"
         "drug_history\r\n";
}

std::string csv_line(const Record& record) {
  std::array<char, 32> probability{};
  std::snprintf(probability.data(), probability.size(), "%.4f", record.top_probability);
  std::string line = record.id + "," + format_time(record.created);
  for (const std::string* text : {&record.model_name, &record.model_version, &record.top_class})
    line += "," + cell(*text);
  (line += ',') += probability.data();
  const PatientNote& note = record.note;
  for (const std::string* text :
       {&note.age, &note.gender, &note.symptom, &note.illness_history, &note.drug_history})
    line += "," + cell(*text);
  return line += "\r\n";
}

std::string format_time(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  gmtime_r(&time, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

Result<std::int64_t> parse_date(std::string_view text) {
  std::tm utc{};
  const auto number = [text](std::size_t from, std::size_t count, int& out) {
    const auto [end, error] = std::from_chars(text.data() + from, text.data() + from + count, out);
    return error == std::errc() && end == text.data() + from + count;
  };
  if (text.size() != 10 || text[4] != '-' || text[7] != '-' || !number(0, 4, utc.tm_year) ||
      !number(5, 2, utc.tm_mon) || !number(8, 2, utc.tm_mday) || utc.tm_year < 1970 ||
      utc.tm_mon < 1 || utc.tm_mon > 12 || utc.tm_mday < 1 || utc.tm_mday > 31)
    return fail(Errc::malformed, "not a date as 2025-01-31 ('", text, "')");
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  const int day = utc.tm_mday;
  const std::time_t time = timegm(&utc);
  if (utc.tm_mday != day) return fail(Errc::malformed, "no such day ('", text, "')");
  return static_cast<std::int64_t>(time);
}

}  // namespace dermlens::history
