#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.hpp"

namespace resnet::test {

/// Values of a type as bytes, rounded to nearest even; u8 saturates.
std::vector<std::byte> encode(DType type, std::span<const float> values);
std::vector<float> decode(DType type, std::span<const std::byte> bytes);

/// The value of `type` that is nearest to `exact`, ties to even.
float rounded(DType type, double exact);
/// As a matrix unit rounds fp32 operands: 10 bits of mantissa, ties away from zero.
float rounded_to_tf32(float value);

/// A reproducible stream of random numbers, the same with every standard library: element `index` of stream `stream`.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);
/// Mean 0, variance 1, within +-3.5.
float random_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);
/// In [low, high].
std::int64_t random_integer(std::uint64_t seed, std::uint64_t stream, std::uint64_t index, std::int64_t low,
                            std::int64_t high);

}  // namespace resnet::test
