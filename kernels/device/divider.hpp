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

/// The same for any n >= 0 and divisor >= 1: the multiplication where both fit into 31 bits, else a true division.
class WideDivider {
 public:
  WideDivider() = default;
  explicit WideDivider(std::int64_t divisor)
      : narrow_(divisor < limit ? divisor : 1), divisor_(divisor), is_narrow_(divisor < limit) {}
  RESNET_HOST_DEVICE std::int64_t quotient(std::int64_t n) const {
    return is_narrow_ && n < limit ? narrow_.quotient(static_cast<int>(n)) : n / divisor_;
  }
  RESNET_HOST_DEVICE void split(std::int64_t n, std::int64_t& quotient_out, std::int64_t& remainder_out) const {
    quotient_out = quotient(n);
    remainder_out = n - quotient_out * divisor_;
  }

 private:
  static constexpr std::int64_t limit = std::int64_t{1} << 31;
  Divider narrow_;
  std::int64_t divisor_ = 1;
  bool is_narrow_ = true;
};

}  // namespace resnet::dev
