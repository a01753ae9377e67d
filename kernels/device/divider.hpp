#pragma once

#include "kernels/device/compiler.hpp"

namespace resnet::dev {

/// Division of 0 <= n < 2^31 by a divisor fixed at launch, as one multiplication and a shift (Granlund and Montgomery,
/// "Division by invariant integers using multiplication", 1994).
class Divider {
 public:
  Divider() = default;
  /// 1 <= divisor < 2^31
  explicit Divider(std::int64_t divisor) : divisor_(static_cast<std::uint32_t>(divisor)) {
    while ((std::uint64_t{1} << shift_) < divisor_) ++shift_;
    multiplier_ = static_cast<std::uint32_t>(
        ((std::uint64_t{1} << 32) * ((std::uint64_t{1} << shift_) - divisor_)) / divisor_ + 1);
  }
  RESNET_HOST_DEVICE int quotient(int n) const {
    const auto value = static_cast<std::uint32_t>(n);
    const auto high = static_cast<std::uint32_t>((static_cast<std::uint64_t>(value) * multiplier_) >> 32);
    return static_cast<int>((high + value) >> shift_);
  }
  RESNET_HOST_DEVICE void split(int n, int& quotient_out, int& remainder_out) const {
    quotient_out = quotient(n);
    remainder_out = n - quotient_out * static_cast<int>(divisor_);
  }

 private:
  std::uint32_t divisor_ = 1, multiplier_ = 1;
  unsigned shift_ = 0;
};

}  // namespace resnet::dev
