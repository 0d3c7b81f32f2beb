// Log lines on stderr: one line an event, as text or JSON. Thread-safe. Never pixels, names of
// patients' files, or tokens: the caller passes only what may be written down.
#pragma once

#include <string_view>

namespace dermlens {

enum class LogFormat { text, json };
enum class LogLevel { info, warning, error };

void set_log_format(LogFormat format);
void log(LogLevel level, std::string_view message);

}  // namespace dermlens
