#include "model/values.hpp"

#include <bit>

#include "base/dtype.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace resnet {
namespace {

constexpr std::uint32_t magnitude_mask = 0x7FFFFFFFu, f32_infinity = 0x7F800000u, f32_smallest_normal = 0x00800000u;

bool is_bad_f32(float value) noexcept { return (std::bit_cast<std::uint32_t>(value) & magnitude_mask) >= f32_infinity; }
bool is_bad_f16(std::uint16_t bits) noexcept { return (bits & 0x7C00u) == 0x7C00u; }
bool is_bad_bf16(std::uint16_t bits) noexcept { return (bits & 0x7F80u) == 0x7F80u; }

/// Plain loops that the compiler vectorises for the instruction set of the function that they are inlined into.
[[gnu::always_inline]] inline bool check_f32_loop(std::span<float> values, bool flush) noexcept {
  const std::uint32_t smallest = flush ? f32_smallest_normal : 0;
  std::uint32_t bad = 0;
  for (float& value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = bits & magnitude_mask;
    bad |= magnitude >= f32_infinity ? 1u : 0u;
    value = std::bit_cast<float>(magnitude < smallest ? bits & ~magnitude_mask : bits);
  }
  return bad != 0;
}

[[gnu::always_inline]] inline bool convert_bf16_loop(std::span<const std::uint16_t> halves, float* out,
                                                     bool flush) noexcept {
  const std::uint32_t smallest = flush ? f32_smallest_normal : 0;
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(halves[i]) << 16;
    const std::uint32_t magnitude = bits & magnitude_mask;
    bad |= magnitude >= f32_infinity ? 1u : 0u;
    out[i] = std::bit_cast<float>(magnitude < smallest ? bits & ~magnitude_mask : bits);
  }
  return bad != 0;
}

bool check_f32_portable(std::span<float> values, bool flush) noexcept { return check_f32_loop(values, flush); }
bool convert_bf16_portable(std::span<const std::uint16_t> halves, float* out, bool flush) noexcept {
  return convert_bf16_loop(halves, out, flush);
}
bool convert_f16_portable(std::span<const std::uint16_t> halves, float* out) noexcept {
  bool bad = false;
  for (std::size_t i = 0; i < halves.size(); ++i) {
    bad = bad || is_bad_f16(halves[i]);
    out[i] = f16_to_f32(halves[i]);
  }
  return bad;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] bool check_f32_avx2(std::span<float> values, bool flush) noexcept {
  return check_f32_loop(values, flush);
}
[[gnu::target("avx2")]] bool convert_bf16_avx2(std::span<const std::uint16_t> halves, float* out, bool flush) noexcept {
  return convert_bf16_loop(halves, out, flush);
}
[[gnu::target("avx2,f16c")]] bool convert_f16_f16c(std::span<const std::uint16_t> halves, float* out) noexcept {
  const __m128i exponent = _mm_set1_epi16(0x7C00);
  __m128i bad = _mm_setzero_si128();
  std::size_t i = 0;
  for (; i + 8 <= halves.size(); i += 8) {
    const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves.data() + i));
    bad = _mm_or_si128(bad, _mm_cmpeq_epi16(_mm_and_si128(eight, exponent), exponent));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(eight));
  }
  const bool tail_bad = convert_f16_portable(halves.subspan(i), out + i);
  return tail_bad || _mm_movemask_epi8(bad) != 0;
}
#endif

const ValueLoops loops = best_value_loops();

template <class T>
std::size_t first(std::span<const T> values, bool (*is_bad)(T) noexcept) noexcept {
  std::size_t i = 0;
  while (i < values.size() && !is_bad(values[i])) ++i;
  return i;
}

}  // namespace

ValueLoops portable_value_loops() noexcept { return {check_f32_portable, convert_f16_portable, convert_bf16_portable}; }

ValueLoops best_value_loops() noexcept {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;  // clang 14's __builtin_cpu_supports does not know f16c
  const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
  if (f16c && __builtin_cpu_supports("avx2") != 0) {
    return {check_f32_avx2, convert_f16_f16c, convert_bf16_avx2};
  }
#endif
  return portable_value_loops();
}

std::size_t check_f32(std::span<float> values, bool flush) noexcept {
  return loops.check_f32(values, flush) ? first<float>(values, is_bad_f32) : values.size();
}

std::size_t convert_f16(std::span<const std::uint16_t> bits, float* out) noexcept {
  return loops.convert_f16(bits, out) ? first<std::uint16_t>(bits, is_bad_f16) : bits.size();
}

std::size_t convert_bf16(std::span<const std::uint16_t> bits, float* out, bool flush) noexcept {
  return loops.convert_bf16(bits, out, flush) ? first<std::uint16_t>(bits, is_bad_bf16) : bits.size();
}

}  // namespace resnet
