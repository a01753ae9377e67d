#include "verify/difference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace resnet::tools {

void Difference::add(std::span<const float> got, std::span<const float> expected) {
  elements_ += static_cast<std::int64_t>(got.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double a = got[i], b = expected[i];
    not_finite_ += std::isfinite(a) ? 0 : 1;
    expected_not_finite_ += std::isfinite(b) ? 0 : 1;
    difference_ += (a - b) * (a - b);
    norm_ += a * a;
    expected_norm_ += b * b;
    product_ += a * b;
    if (std::isfinite(a - b)) max_abs_ = std::max(max_abs_, std::abs(a - b));
  }
}

double Difference::relative_l2() const noexcept {
  if (not_finite_ + expected_not_finite_ > 0) return std::numeric_limits<double>::quiet_NaN();
  if (difference_ == 0) return 0;
  return std::sqrt(difference_ / expected_norm_);
}

double Difference::cosine() const noexcept {
  if (not_finite_ + expected_not_finite_ > 0) return std::numeric_limits<double>::quiet_NaN();
  if (norm_ == 0 && expected_norm_ == 0) return 1;
  if (norm_ == 0 || expected_norm_ == 0) return 0;
  return product_ / (std::sqrt(norm_) * std::sqrt(expected_norm_));
}

}  // namespace resnet::tools
