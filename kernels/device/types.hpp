#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/dtype.hpp"
#include "kernels/device/compiler.hpp"

/// Element types in device memory and their exact conversions.
namespace resnet::dev {

struct half {
  std::uint16_t bits;
};
struct bfloat16 {
  std::uint16_t bits;
};

/// 16 bytes, the unit of vector loads and of cp.async.
struct alignas(16) Vec16 {
  std::uint32_t words[4];
};

/// A value of 4 bytes as a word, and back.
template <class T>
RESNET_DEVICE std::uint32_t to_bits(T value) {
  static_assert(sizeof(T) == 4);
  std::uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}
template <class T>
RESNET_DEVICE T from_bits(std::uint32_t bits) {
  static_assert(sizeof(T) == 4);
  T value;
  memcpy(&value, &bits, 4);
  return value;
}

RESNET_DEVICE float to_float(float value) { return value; }
RESNET_DEVICE float to_float(std::uint8_t value) { return static_cast<float>(value); }
RESNET_DEVICE float to_float(half value) {
#if RESNET_ON_GPU
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
#elif !defined(__CUDACC__)
  return f16_to_f32(value.bits);
#else
  return 0;
#endif
}
RESNET_DEVICE float to_float(bfloat16 value) { return from_bits<float>(static_cast<std::uint32_t>(value.bits) << 16); }

/// Round to nearest even; NaN stays NaN; f16 overflows to infinity.
template <class T>
RESNET_DEVICE T from_float(float value);

template <>
RESNET_DEVICE float from_float<float>(float value) {
  return value;
}
template <>
RESNET_DEVICE half from_float<half>(float value) {
#if RESNET_ON_GPU
  half result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
#elif !defined(__CUDACC__)
  return {f32_to_f16(value)};
#else
  return {};
#endif
}
template <>
RESNET_DEVICE bfloat16 from_float<bfloat16>(float value) {
#if RESNET_ON_GPU && __CUDA_ARCH__ >= 800
  bfloat16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
#elif RESNET_ON_GPU
  const std::uint32_t bits = to_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
#elif !defined(__CUDACC__)
  return {f32_to_bf16(value)};
#else
  return {};
#endif
}
/// Saturates to 0..255.
template <>
RESNET_DEVICE std::uint8_t from_float<std::uint8_t>(float value) {
  const float clamped = fminf(fmaxf(value, 0.0f), 255.0f);
  return static_cast<std::uint8_t>(static_cast<int>(rintf(clamped)));
}

/// The larger value; NaN wins.
RESNET_DEVICE float max_or_nan(float a, float b) {
#if RESNET_ON_GPU && __CUDA_ARCH__ >= 800
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
#else
  return b > a || b != b ? b : a;
#endif
}

/// Two elements of 16 bits in one register, `low` in the lower half.
template <class T>
RESNET_DEVICE std::uint32_t pack2(float low, float high) {
  static_assert(sizeof(T) == 2);
  return static_cast<std::uint32_t>(from_float<T>(low).bits) | static_cast<std::uint32_t>(from_float<T>(high).bits)
                                                                   << 16;
}

/// Rounds an fp32 operand to tf32 (10 mantissa bits), to nearest with ties away from zero, as the matrix unit expects.
RESNET_DEVICE std::uint32_t round_to_tf32(std::uint32_t bits) {
#if RESNET_ON_GPU && __CUDA_ARCH__ >= 800
  std::uint32_t result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(from_bits<float>(bits)));
  return result;
#else
  const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
  return finite ? (bits + 0x1000u) & 0xffffe000u : bits;
#endif
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<half> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<bfloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <class T>
constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace resnet::dev
