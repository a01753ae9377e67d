#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace resnet {

/// What happens to a piece of a tensor while it lies in the cache: finite test and conversion to f32. Each returns the
/// index of the first value that is NaN or infinite, or the number of values when all are finite.
std::size_t check_f32(std::span<float> values, bool flush) noexcept;
/// `out` has at least bits.size() values. f16 subnormals are normal as f32, so there is nothing to flush.
std::size_t convert_f16(std::span<const std::uint16_t> bits, float* out) noexcept;
std::size_t convert_bf16(std::span<const std::uint16_t> bits, float* out, bool flush) noexcept;

/// One set of inner loops; each returns whether any value is NaN or infinite. `flush` turns denormals into zeros of
/// their sign. The three functions above use the best set; tests compare the sets.
struct ValueLoops {
  bool (*check_f32)(std::span<float> values, bool flush) noexcept;
  bool (*convert_f16)(std::span<const std::uint16_t> bits, float* out) noexcept;
  bool (*convert_bf16)(std::span<const std::uint16_t> bits, float* out, bool flush) noexcept;
};
ValueLoops portable_value_loops() noexcept;
/// For this machine's instruction set; the portable ones where there is nothing better.
ValueLoops best_value_loops() noexcept;

}  // namespace resnet
