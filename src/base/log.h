// Log lines on stderr: one line an event, as text or JSON. Thread-safe. Never pixels, names of
// patients' files, or tokens: the caller passes only what may be written down.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <variant>

namespace dermlens {

enum class LogFormat { text, json };
enum class LogLevel { info, warning, error };

void set_log_format(LogFormat format);
void log(LogLevel level, std::string_view message);

// An event with figures: "message name=value ..." as text, members of their own as JSON. Names are
// ours: letters and '_'.
struct LogField {
  std::string_view name;
  std::variant<std::string_view, std::uint64_t, double> value;
};
void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields);

}  // namespace dermlens
