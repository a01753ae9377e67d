#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include "base/check.hpp"

namespace resnet {

/// a * b, a + b or the next multiple of `alignment`, or Error overflow that names `what`.
/// All sizes from files go through these three.
template <std::integral T>
T checked_mul(T a, T b, std::string_view what) {
  T result;
  if (__builtin_mul_overflow(a, b, &result)) fail(ErrorCode::overflow, "product does not fit into 64 bits", what);
  return result;
}

template <std::integral T>
T checked_add(T a, T b, std::string_view what) {
  T result;
  if (__builtin_add_overflow(a, b, &result)) fail(ErrorCode::overflow, "sum does not fit into 64 bits", what);
  return result;
}

template <std::integral T>
T checked_align(T value, T alignment, std::string_view what) {
  return checked_add<T>(value, alignment - 1, what) / alignment * alignment;
}

/// The same for sizes that are known to fit.
constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
constexpr std::int64_t div_up(std::int64_t value, std::int64_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace resnet
