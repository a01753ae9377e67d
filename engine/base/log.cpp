#include "base/log.hpp"

#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

namespace resnet {
namespace {

std::mutex& lock() {
  static std::mutex instance;
  return instance;
}

LogSink& sink() {
  static LogSink instance = [](LogLevel level, std::string_view message) {
    if (level != LogLevel::warning) return;
    std::fprintf(stderr, "resnet-engine: %.*s\n", static_cast<int>(message.size()), message.data());
  };
  return instance;
}

}  // namespace

void set_log_sink(LogSink new_sink) {
  const std::lock_guard guard(lock());
  sink() = std::move(new_sink);
}

void log(LogLevel level, std::string_view message) {
  const std::lock_guard guard(lock());
  if (sink()) sink()(level, message);
}

}  // namespace resnet
