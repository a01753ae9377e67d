#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace resnet::test {

/// |a - b| / |b| of vectors of equal length; sums are float64. NaN where a value is NaN.
inline double relative_l2(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    norm += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace resnet::test
