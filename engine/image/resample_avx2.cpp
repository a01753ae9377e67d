// Both passes with AVX2's 16-bit multiply-add.
//
// A weight has 23 bits, so it is split: weight = high * 2^15 + low with low in [0, 2^15). Bytes times halves are exact
// in vpmaddwd's 32-bit sums, and (sum of high) * 2^15 + (sum of low) wraps modulo 2^32 just as the plain sum does, so
// the result is the portable kernel's bit for bit.

#include "image/resample_avx2.hpp"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#define RESNET_AVX2 __attribute__((target("avx2")))

namespace resnet {
namespace {

constexpr int low_bits = 15;
constexpr std::size_t overread = 32;  // how far a vector load may reach behind the pixels that it needs

std::int16_t low_half(std::int32_t weight) { return static_cast<std::int16_t>(weight & ((1 << low_bits) - 1)); }
std::int16_t high_half(std::int32_t weight) { return static_cast<std::int16_t>(weight >> low_bits); }

/// (high << 15) + low + 1/2, shifted down to whole numbers.
RESNET_AVX2 inline __m128i to_integers(__m128i low, __m128i high) {
  const __m128i sum = _mm_add_epi32(low, _mm_slli_epi32(high, low_bits));
  return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << (resample_bits - 1))), resample_bits);
}

RESNET_AVX2 inline __m256i to_integers(__m256i low, __m256i high) {
  const __m256i sum = _mm256_add_epi32(low, _mm256_slli_epi32(high, low_bits));
  return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << (resample_bits - 1))), resample_bits);
}

RESNET_AVX2 inline __m128i add_lanes(__m256i v) {
  return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

RESNET_AVX2 inline __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
RESNET_AVX2 inline __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

/// Weights in the order in which the horizontal kernels multiply: per output `groups` times 16 low, then 16 high
/// halves.
struct PackedWeights {
  std::size_t groups = 0;
  std::vector<std::int16_t> halves;
};

/// For 3 channels a group is 4 pixels (words r0 r1 g0 g1 b0 b1 - - | r2 r3 g2 g3 b2 b3 - -), for 1 channel 16 pixels.
PackedWeights pack(const AxisFilter& filter, std::int64_t channels) {
  const std::size_t group = channels == 3 ? 4 : 16;
  const std::size_t taps = static_cast<std::size_t>(filter.taps);
  PackedWeights packed;
  packed.groups = (taps + group - 1) / group;
  packed.halves.assign(filter.windows.size() * packed.groups * 32, 0);
  std::int16_t* to = packed.halves.data();
  for (std::size_t x = 0; x < filter.windows.size(); ++x) {
    const std::int32_t* weights = filter.weights_of(x);
    for (std::size_t g = 0; g < packed.groups; ++g, to += 32) {
      for (std::size_t word = 0; word < 16; ++word) {
        const bool unused = channels == 3 && word % 8 >= 6;
        const std::size_t tap = g * group + (channels == 3 ? word / 8 * 2 + word % 2 : word);
        if (unused || tap >= taps) continue;
        to[word] = low_half(weights[tap]);
        to[16 + word] = high_half(weights[tap]);
      }
    }
  }
  return packed;
}

template <std::size_t Rows>
using RowPointers = std::array<const std::uint8_t*, Rows>;
template <std::size_t Rows>
using OutPointers = std::array<std::uint8_t*, Rows>;

template <std::size_t Rows>
RESNET_AVX2 void horizontal_rgb(const RowPointers<Rows>& in, const AxisFilter& filter, const PackedWeights& packed,
                                const OutPointers<Rows>& out) {
  const __m256i to_pairs = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                            6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const std::int16_t* weights = packed.halves.data();
  for (std::size_t x = 0; x < filter.windows.size(); ++x, weights += packed.groups * 32) {
    const std::size_t first = static_cast<std::size_t>(filter.windows[x].first) * 3;
    const std::size_t groups = (static_cast<std::size_t>(filter.windows[x].count) + 3) / 4;
    __m256i low[Rows], high[Rows];
    for (std::size_t r = 0; r < Rows; ++r) low[r] = high[r] = _mm256_setzero_si256();
    for (std::size_t g = 0; g < groups; ++g) {
      const __m256i weight_low = load256(weights + g * 32), weight_high = load256(weights + g * 32 + 16);
      for (std::size_t r = 0; r < Rows; ++r) {
        const __m256i bytes = _mm256_broadcastsi128_si256(load128(in[r] + first + g * 12));
        const __m256i pairs = _mm256_shuffle_epi8(bytes, to_pairs);
        low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(pairs, weight_low));
        high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(pairs, weight_high));
      }
    }
    for (std::size_t r = 0; r < Rows; ++r) {
      const __m128i values = to_integers(add_lanes(low[r]), add_lanes(high[r]));
      const __m128i words = _mm_packs_epi32(values, values);
      const auto rgb = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_packus_epi16(words, words)));
      std::memcpy(out[r] + 3 * x, &rgb, 3);
    }
  }
}

template <std::size_t Rows>
RESNET_AVX2 void horizontal_gray(const RowPointers<Rows>& in, const AxisFilter& filter, const PackedWeights& packed,
                                 const OutPointers<Rows>& out) {
  const std::int16_t* weights = packed.halves.data();
  for (std::size_t x = 0; x < filter.windows.size(); ++x, weights += packed.groups * 32) {
    const std::size_t first = static_cast<std::size_t>(filter.windows[x].first);
    const std::size_t groups = (static_cast<std::size_t>(filter.windows[x].count) + 15) / 16;
    __m256i low[Rows], high[Rows];
    for (std::size_t r = 0; r < Rows; ++r) low[r] = high[r] = _mm256_setzero_si256();
    for (std::size_t g = 0; g < groups; ++g) {
      const __m256i weight_low = load256(weights + g * 32), weight_high = load256(weights + g * 32 + 16);
      for (std::size_t r = 0; r < Rows; ++r) {
        const __m256i words = _mm256_cvtepu8_epi16(load128(in[r] + first + g * 16));
        low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(words, weight_low));
        high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(words, weight_high));
      }
    }
    for (std::size_t r = 0; r < Rows; ++r) {
      const __m128i both = _mm_hadd_epi32(add_lanes(low[r]), add_lanes(high[r]));  // low low high high
      const __m128i sums = _mm_hadd_epi32(both, both);                             // low high low high
      const __m128i value = to_integers(sums, _mm_shuffle_epi32(sums, 1));
      out[r][x] = static_cast<std::uint8_t>(std::clamp(_mm_cvtsi128_si32(value), 0, 255));
    }
  }
}

template <std::size_t Rows>
void horizontal_rows(const RowPointers<Rows>& in, std::int64_t channels, const AxisFilter& filter,
                     const PackedWeights& packed, const OutPointers<Rows>& out) {
  if (channels == 3) {
    horizontal_rgb<Rows>(in, filter, packed, out);
  } else {
    horizontal_gray<Rows>(in, filter, packed, out);
  }
}

void horizontal(const ByteRows& in, std::int64_t rows, std::int64_t channels, const AxisFilter& filter,
                std::uint8_t* out) {
  const PackedWeights packed = pack(filter, channels);
  std::int32_t pixels = 0;
  for (const Window& window : filter.windows) pixels = std::max(pixels, window.end());
  const std::size_t row_bytes = static_cast<std::size_t>(pixels * channels);
  const std::size_t out_stride = filter.windows.size() * static_cast<std::size_t>(channels);
  std::vector<std::uint8_t> padded;  // a copy of a row that ends too close to the end of the memory
  const std::size_t all = static_cast<std::size_t>(rows);
  std::size_t y = 0;
  const auto row_may_be_overread = [&](std::size_t row) {
    return row * in.stride + row_bytes + overread <= in.readable;
  };
  constexpr std::size_t block = 4;  // rows that share one load of the weights
  for (; y + block <= all && row_may_be_overread(y + block - 1); y += block) {
    const std::uint8_t* row = in.data + y * in.stride;
    std::uint8_t* to = out + y * out_stride;
    horizontal_rows<block>({row, row + in.stride, row + 2 * in.stride, row + 3 * in.stride}, channels, filter, packed,
                           {to, to + out_stride, to + 2 * out_stride, to + 3 * out_stride});
  }
  for (; y < all; ++y) {
    const std::uint8_t* row = in.data + y * in.stride;
    if (!row_may_be_overread(y)) {
      padded.assign(row_bytes + overread, 0);
      std::memcpy(padded.data(), row, row_bytes);
      row = padded.data();
    }
    horizontal_rows<1>({row}, channels, filter, packed, {out + y * out_stride});
  }
}

/// Words (a0 b0) (a1 b1) ...: two rows side by side, as vpmaddwd wants them.
RESNET_AVX2 inline void accumulate_pair(__m256i pairs, __m256i weight_low, __m256i weight_high, __m256i& low,
                                        __m256i& high) {
  low = _mm256_add_epi32(low, _mm256_madd_epi16(pairs, weight_low));
  high = _mm256_add_epi32(high, _mm256_madd_epi16(pairs, weight_high));
}

RESNET_AVX2 inline __m256i both_weights(std::int16_t a, std::int16_t b) {
  return _mm256_set1_epi32(static_cast<std::int32_t>(static_cast<std::uint16_t>(a) |
                                                     static_cast<std::uint32_t>(static_cast<std::uint16_t>(b)) << 16));
}

constexpr std::size_t vertical_block = 32;  // bytes per step: all their sums stay in registers

/// 32 output bytes from `count` rows that start at `in`.
RESNET_AVX2 void vertical_32(const std::uint8_t* in, std::size_t stride, std::int32_t count,
                             const std::int32_t* weights, std::uint8_t* out) {
  __m256i low[4], high[4];
  for (int i = 0; i < 4; ++i) low[i] = high[i] = _mm256_setzero_si256();
  for (std::int32_t t = 0; t < count; t += 2) {
    const bool pair = t + 1 < count;
    const std::uint8_t* row = in + static_cast<std::size_t>(t) * stride;
    const std::int32_t second = pair ? weights[t + 1] : 0;
    const __m256i weight_low = both_weights(low_half(weights[t]), low_half(second));
    const __m256i weight_high = both_weights(high_half(weights[t]), high_half(second));
    const __m256i a = load256(row), b = pair ? load256(row + stride) : a;
    const __m256i left = _mm256_unpacklo_epi8(a, b), right = _mm256_unpackhi_epi8(a, b);  // per 128-bit lane
    const __m256i zero = _mm256_setzero_si256();
    accumulate_pair(_mm256_unpacklo_epi8(left, zero), weight_low, weight_high, low[0], high[0]);
    accumulate_pair(_mm256_unpackhi_epi8(left, zero), weight_low, weight_high, low[1], high[1]);
    accumulate_pair(_mm256_unpacklo_epi8(right, zero), weight_low, weight_high, low[2], high[2]);
    accumulate_pair(_mm256_unpackhi_epi8(right, zero), weight_low, weight_high, low[3], high[3]);
  }
  // Packing works within 128-bit lanes too, which undoes the unpacking.
  const __m256i first = _mm256_packs_epi32(to_integers(low[0], high[0]), to_integers(low[1], high[1]));
  const __m256i second = _mm256_packs_epi32(to_integers(low[2], high[2]), to_integers(low[3], high[3]));
  _mm256_storeu_si256(static_cast<__m256i*>(static_cast<void*>(out)), _mm256_packus_epi16(first, second));
}

/// The last bytes of a row, fewer than 32, one by one.
void vertical_rest(const std::uint8_t* in, std::size_t stride, std::size_t bytes, std::int32_t count,
                   const std::int32_t* weights, std::uint8_t* out) {
  for (std::size_t i = 0; i < bytes; ++i) {
    std::int32_t sum = 1 << (resample_bits - 1);
    for (std::int32_t t = 0; t < count; ++t) sum += in[static_cast<std::size_t>(t) * stride + i] * weights[t];
    out[i] = static_cast<std::uint8_t>(std::clamp(sum >> resample_bits, 0, 255));
  }
}

void vertical(const ByteRows& in, std::size_t row_bytes, const AxisFilter& filter, std::uint8_t* out) {
  for (std::size_t y = 0; y < filter.windows.size(); ++y, out += row_bytes) {
    const Window window = filter.windows[y];
    const std::int32_t* weights = filter.weights_of(y);
    const std::uint8_t* rows = in.data + static_cast<std::size_t>(window.first) * in.stride;
    std::size_t i = 0;
    for (; i + vertical_block <= row_bytes; i += vertical_block) {
      vertical_32(rows + i, in.stride, window.count, weights, out + i);
    }
    vertical_rest(rows + i, in.stride, row_bytes - i, window.count, weights, out + i);
  }
}

}  // namespace

const ResampleKernels avx2_resample_kernels = {"avx2", &horizontal, &vertical};

}  // namespace resnet
