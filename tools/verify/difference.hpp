#pragma once

#include <cstdint>
#include <span>

namespace resnet::tools {

/// How values differ from the expected ones, over everything that was added. Sums are float64.
class Difference {
 public:
  /// Spans of equal length.
  void add(std::span<const float> got, std::span<const float> expected);

  std::int64_t elements() const noexcept { return elements_; }
  double max_abs() const noexcept { return max_abs_; }  ///< of finite pairs
  /// |got - expected| / |expected|; infinite where only the expected values are all zero, NaN where any is not finite.
  double relative_l2() const noexcept;
  /// Of the angle between both; 1 where both are zero, NaN like relative_l2().
  double cosine() const noexcept;
  std::int64_t not_finite() const noexcept { return not_finite_; }  ///< among `got`
  std::int64_t expected_not_finite() const noexcept { return expected_not_finite_; }
  /// NaN is never within anything.
  bool within(double tolerance) const noexcept { return relative_l2() <= tolerance; }

 private:
  std::int64_t elements_ = 0, not_finite_ = 0, expected_not_finite_ = 0;
  double max_abs_ = 0, difference_ = 0, norm_ = 0, expected_norm_ = 0, product_ = 0;
};

}  // namespace resnet::tools
