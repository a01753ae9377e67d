#include "kernels/numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace resnet::test {

std::vector<std::byte> encode(DType type, std::span<const float> values) {
  std::vector<std::byte> bytes(values.size() * size_of(type));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::byte* const out = bytes.data() + i * size_of(type);
    if (type == DType::f32) {
      std::memcpy(out, &values[i], 4);
    } else if (type == DType::u8) {
      *out = static_cast<std::byte>(rounded(DType::u8, static_cast<double>(values[i])));
    } else {
      const std::uint16_t bits = type == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
      std::memcpy(out, &bits, 2);
    }
  }
  return bytes;
}

std::vector<float> decode(DType type, std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / size_of(type));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::byte* const in = bytes.data() + i * size_of(type);
    if (type == DType::f32) {
      std::memcpy(&values[i], in, 4);
    } else if (type == DType::u8) {
      values[i] = static_cast<float>(*in);
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, in, 2);
      values[i] = type == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    }
  }
  return values;
}

float rounded(DType type, double exact) {
  const float value = static_cast<float>(exact);
  switch (type) {
    case DType::f16:
      return f16_to_f32(f32_to_f16(value));
    case DType::bf16:
      return bf16_to_f32(f32_to_bf16(value));
    case DType::u8:
      return std::nearbyint(std::clamp(value, 0.0f, 255.0f));
    default:
      return value;
  }
}

float rounded_to_tf32(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  constexpr std::uint32_t half_of_the_last_place = 1u << 12;
  if (std::isfinite(value)) bits = (bits + half_of_the_last_place) & ~(2 * half_of_the_last_place - 1);
  std::memcpy(&value, &bits, 4);
  return value;
}

std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  std::uint64_t z = (seed * 0x2545f4914f6cdd1du) ^ (stream << 48) ^ (index * 0x9e3779b97f4a7c15u);
  for (int round = 0; round < 2; ++round) {  // splitmix64's mixer
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
  }
  return z;
}

float random_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  const std::uint64_t bits = random_bits(seed, stream, index);
  double sum = 0;  // of four uniform numbers
  for (unsigned i = 0; i < 4; ++i) sum += static_cast<double>((bits >> (16 * i)) & 0xffff) / 65536 - 0.5;
  return static_cast<float>(sum * std::sqrt(3.0));
}

std::int64_t random_integer(std::uint64_t seed, std::uint64_t stream, std::uint64_t index, std::int64_t low,
                            std::int64_t high) {
  const auto count = static_cast<std::uint64_t>(high - low + 1);
  return low + static_cast<std::int64_t>((random_bits(seed, stream, index) >> 20) % count);
}

}  // namespace resnet::test
