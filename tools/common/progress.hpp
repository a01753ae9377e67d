#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace resnet::tools {

/// A progress bar on stderr for runs longer than a second, when stderr is a terminal; otherwise nothing.
class Progress {
 public:
  explicit Progress(std::int64_t total);
  Progress(std::int64_t total, bool terminal) : total_(total), terminal_(terminal) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t done);
  /// Takes the bar off the screen; call it before anything else is printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::int64_t total_;
  bool terminal_, shown_ = false;
  Clock::time_point start_ = Clock::now(), last_ = start_;
};

/// "[=========>          ]  480/1000  152.3/s  3 s left"
std::string progress_line(std::int64_t done, std::int64_t total, double seconds);

}  // namespace resnet::tools
