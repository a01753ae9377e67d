#include "common/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "common/text.hpp"

namespace resnet::tools {

Progress::Progress(std::int64_t total) : Progress(total, isatty(STDERR_FILENO) != 0) {}

void Progress::update(std::int64_t done) {
  if (!terminal_) return;
  const auto now = Clock::now();
  const std::chrono::duration<double> elapsed = now - start_;
  if (elapsed < std::chrono::seconds(1) || (shown_ && now - last_ < std::chrono::milliseconds(100))) return;
  last_ = now;
  shown_ = true;
  const std::string line = "\r\x1b[K" + progress_line(done, total_, elapsed.count());
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

std::string progress_line(std::int64_t done, std::int64_t total, double seconds) {
  constexpr std::int64_t width = 30;
  const std::int64_t filled = total > 0 ? std::clamp<std::int64_t>(done * width / total, 0, width) : 0;
  std::string bar(static_cast<std::size_t>(filled), '=');
  if (filled < width) bar += '>';
  bar.resize(static_cast<std::size_t>(width), ' ');
  const std::string all = std::to_string(total);
  std::string count = std::to_string(done);
  count.insert(0, all.size() - std::min(all.size(), count.size()), ' ');
  std::string line = "[" + bar + "]  " + count + "/" + all;
  if (done > 0 && seconds > 0) {
    const double rate = static_cast<double>(done) / seconds;
    line += "  " + fixed(rate, 1) + "/s  " + fixed(static_cast<double>(total - done) / rate, 0) + " s left";
  }
  return line;
}

}  // namespace resnet::tools
