#pragma once

#include <functional>
#include <string_view>

namespace resnet {

enum class LogLevel { info, warning };
using LogSink = std::function<void(LogLevel, std::string_view)>;

/// Replaces the process-wide sink (default: warnings to stderr). Thread-safe.
void set_log_sink(LogSink sink);
void log(LogLevel level, std::string_view message);

}  // namespace resnet
