#include "kernels/sim/matrix.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/dtype.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace resnet::sim {
namespace {

constexpr int tile_rows = 16, tile_columns = 8, words = 8;

/// An operand row (or column of b) is 32 bytes of K. With lane = 4 g + t its words come from lanes t = 0..3 of its g:
/// first the register for the lower half of K, then the one for the upper half.
void gather(const std::uint32_t* const* lanes, int registers, int tile, int g, int low, int high, std::uint32_t* out) {
  for (int t = 0; t < 4; ++t) {
    const std::uint32_t* const lane = lanes[4 * g + t] + tile * registers;
    out[t] = lane[low];
    out[4 + t] = lane[high];
  }
}

void to_floats(MmaType type, const std::uint32_t* in, float* out) {
  for (int i = 0; i < words; ++i) {
    if (type == MmaType::tf32) {
      const std::uint32_t bits = in[i] & 0xffffe000u;
      std::memcpy(&out[i], &bits, 4);
    } else if (type == MmaType::bf16) {
      out[2 * i] = bf16_to_f32(static_cast<std::uint16_t>(in[i]));
      out[2 * i + 1] = bf16_to_f32(static_cast<std::uint16_t>(in[i] >> 16));
    } else {
      out[2 * i] = f16_to_f32(static_cast<std::uint16_t>(in[i]));
      out[2 * i + 1] = f16_to_f32(static_cast<std::uint16_t>(in[i] >> 16));
    }
  }
}

/// c[16][8] += a[16][k] * b[k][8]
void tile_plain(float* c, const float* a, const float* b, int k_count) {
  for (int row = 0; row < tile_rows; ++row) {
    for (int k = 0; k < k_count; ++k) {
      const float value = a[row * 16 + k];
      for (int column = 0; column < tile_columns; ++column)
        c[row * 8 + column] = std::fma(value, b[k * 8 + column], c[row * 8 + column]);
    }
  }
}

/// The products and the accumulator are cut to 24 bits below the largest of them, added exactly, and the sum is cut to
/// fp32: what matrix units were measured to do, give or take a bit.
float truncating_dot(float c, const float* a, const float* b, int k_count) {
  std::array<double, 17> terms;
  double largest = std::fabs(static_cast<double>(c));
  for (int k = 0; k < k_count; ++k) {
    terms[static_cast<std::size_t>(k)] = static_cast<double>(a[k]) * static_cast<double>(b[k * 8]);
    largest = std::max(largest, std::fabs(terms[static_cast<std::size_t>(k)]));
  }
  terms[static_cast<std::size_t>(k_count)] = static_cast<double>(c);
  double sum = 0;
  if (largest > 0 && largest < std::numeric_limits<double>::infinity()) {
    const double unit = std::ldexp(1.0, std::ilogb(largest) - 24);
    for (int k = 0; k <= k_count; ++k) sum += std::trunc(terms[static_cast<std::size_t>(k)] / unit) * unit;
  } else {
    for (int k = 0; k <= k_count; ++k) sum += terms[static_cast<std::size_t>(k)];
  }
  const auto rounded = static_cast<float>(sum);
  return std::fabs(static_cast<double>(rounded)) > std::fabs(sum) && std::isfinite(rounded)
             ? std::nextafter(rounded, 0.0f)
             : rounded;
}

void tile_truncating(float* c, const float* a, const float* b, int k_count) {
  for (int row = 0; row < tile_rows; ++row)
    for (int column = 0; column < tile_columns; ++column)
      c[row * 8 + column] = truncating_dot(c[row * 8 + column], a + row * 16, b + column, k_count);
}

using Tile = void (*)(float*, const float*, const float*, int);
using Convert = void (*)(MmaType, const std::uint32_t*, float*);

#if defined(__x86_64__)
#define RESNET_SIM_AVX2 __attribute__((target("avx2,fma,f16c")))

RESNET_SIM_AVX2 void tile_avx2(float* c, const float* a, const float* b, int k_count) {
  for (int row = 0; row < tile_rows; row += 8) {
    __m256 sums[8];
    for (int i = 0; i < 8; ++i) sums[i] = _mm256_loadu_ps(c + (row + i) * 8);
    for (int k = 0; k < k_count; ++k) {
      const __m256 line = _mm256_loadu_ps(b + k * 8);
      for (int i = 0; i < 8; ++i) sums[i] = _mm256_fmadd_ps(_mm256_set1_ps(a[(row + i) * 16 + k]), line, sums[i]);
    }
    for (int i = 0; i < 8; ++i) _mm256_storeu_ps(c + (row + i) * 8, sums[i]);
  }
}

RESNET_SIM_AVX2 void convert_avx2(MmaType type, const std::uint32_t* in, float* out) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in));
  if (type == MmaType::tf32) {
    const __m256i kept = _mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0xffffe000u)));
    _mm256_storeu_ps(out, _mm256_castsi256_ps(kept));
    return;
  }
  const __m128i halves[2] = {_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1)};
  for (int i = 0; i < 2; ++i) {
    const __m256 values = type == MmaType::bf16
                              ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves[i]), 16))
                              : _mm256_cvtph_ps(halves[i]);
    _mm256_storeu_ps(out + 8 * i, values);
  }
}

bool has_avx2() {
  __builtin_cpu_init();
  // clang 14 cannot ask for f16c; every processor with AVX2 has it.
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
bool vector_unit = has_avx2();
#else
bool vector_unit = false;
#endif

void multiply_floats(const WarpMma& mma) {
  Tile tile = tile_plain;
  Convert convert = to_floats;
#if defined(__x86_64__)
  if (vector_unit) {
    tile = tile_avx2;
    convert = convert_avx2;
  }
#endif
  if (mma.truncate) tile = tile_truncating;
  const int k_count = mma.type == MmaType::tf32 ? 8 : 16;
  std::uint32_t raw[words];
  alignas(32) static thread_local float b[WarpMma::max_columns][16 * tile_columns];
  for (int j = 0; j < mma.columns; ++j) {
    for (int g = 0; g < tile_columns; ++g) {
      alignas(32) float column[16];
      gather(mma.b, 2, j, g, 0, 1, raw);
      convert(mma.type, raw, column);
      for (int k = 0; k < k_count; ++k) b[j][k * 8 + g] = column[k];
    }
  }
  alignas(32) float a[tile_rows * 16];
  alignas(32) float c[tile_rows * tile_columns];
  for (int i = 0; i < mma.rows; ++i) {
    for (int g = 0; g < 8; ++g) {
      gather(mma.a, 4, i, g, 0, 2, raw);
      convert(mma.type, raw, a + g * 16);
      gather(mma.a, 4, i, g, 1, 3, raw);
      convert(mma.type, raw, a + (g + 8) * 16);
    }
    for (int j = 0; j < mma.columns; ++j) {
      const int offset = (i * mma.columns + j) * 4;
      for (int lane = 0; lane < 32; ++lane) {
        const float* const registers = static_cast<const float*>(mma.c[lane]) + offset;
        std::memcpy(c + (lane / 4) * 8 + 2 * (lane % 4), registers, 8);
        std::memcpy(c + (lane / 4 + 8) * 8 + 2 * (lane % 4), registers + 2, 8);
      }
      tile(c, a, b[j], k_count);
      for (int lane = 0; lane < 32; ++lane) {
        float* const registers = static_cast<float*>(mma.c[lane]) + offset;
        std::memcpy(registers, c + (lane / 4) * 8 + 2 * (lane % 4), 8);
        std::memcpy(registers + 2, c + (lane / 4 + 8) * 8 + 2 * (lane % 4), 8);
      }
    }
  }
}

void multiply_integers(const WarpMma& mma) {
  const auto byte = [](const std::uint32_t* line, int k) {
    return static_cast<int>(static_cast<std::int8_t>(line[k / 4] >> (8 * (k % 4))));
  };
  for (int i = 0; i < mma.rows; ++i) {
    for (int j = 0; j < mma.columns; ++j) {
      for (int lane = 0; lane < 32; ++lane) {
        auto* const registers = static_cast<std::int32_t*>(mma.c[lane]) + (i * mma.columns + j) * 4;
        for (int r = 0; r < 4; ++r) {
          std::uint32_t a[words], b[words];
          gather(mma.a, 4, i, lane / 4, r / 2, r / 2 + 2, a);
          gather(mma.b, 2, j, 2 * (lane % 4) + r % 2, 0, 1, b);
          std::int64_t sum = registers[r];
          for (int k = 0; k < 32; ++k) sum += byte(a, k) * byte(b, k);
          sum = std::clamp<std::int64_t>(sum, std::numeric_limits<std::int32_t>::min(),
                                         std::numeric_limits<std::int32_t>::max());
          registers[r] = static_cast<std::int32_t>(sum);
        }
      }
    }
  }
}

}  // namespace

void multiply(const WarpMma& mma) {
  if (mma.type == MmaType::s8) {
    multiply_integers(mma);
  } else {
    multiply_floats(mma);
  }
}

void use_vector_unit(bool use) {
#if defined(__x86_64__)
  vector_unit = use && has_avx2();
#else
  static_cast<void>(use);
#endif
}

}  // namespace resnet::sim
