#include "bench/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace resnet::tools {

double percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  if (percent == 50 && n % 2 == 0) return (values[n / 2 - 1] + values[n / 2]) / 2;
  const double rank = std::ceil(percent / 100 * static_cast<double>(n));
  return values[static_cast<std::size_t>(std::clamp(rank, 1.0, static_cast<double>(n))) - 1];
}

std::int64_t peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

}  // namespace resnet::tools
