// One write(2) a line, so that lines of several threads never mix.
#include "base/log.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>

namespace dermlens {
namespace {

std::atomic<LogFormat> log_format{LogFormat::text};

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "error";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\u%04x", static_cast<unsigned>(c));
      out += code.data();
    } else {
      out += c;
    }
  }
  return out;
}

std::string timestamp() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  std::tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text.data() + length, text.size() - length, ".%03ldZ", now.tv_nsec / 1000000);
  return text.data();
}

std::string text_of(std::string_view text, bool json) {
  return json ? '"' + escaped(text) + '"' : std::string(text);
}

std::string text_of(std::uint64_t number, bool) { return std::to_string(number); }

std::string text_of(double number, bool) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.1f", std::isfinite(number) ? number : 0.0);
  return text.data();
}

}  // namespace

void set_log_format(LogFormat format) { log_format = format; }

void log(LogLevel level, std::string_view message) { log(level, message, {}); }

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  const bool json = log_format == LogFormat::json;
  std::string line;
  if (json) {
    line = R"({"time":")" + timestamp() + R"(","level":")" + std::string(name(level)) +
           R"(","message":")" + escaped(message) + '"';
  } else {
    line = timestamp() + " " + std::string(name(level)) + " " + std::string(message);
  }
  for (const LogField& field : fields) {
    line += json ? ",\"" : " ";
    line += field.name;
    line += json ? "\":" : "=";
    line += std::visit([json](const auto& value) { return text_of(value, json); }, field.value);
  }
  line += json ? "}\n" : "\n";
  // A log that cannot be written has nobody to be told.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace dermlens
