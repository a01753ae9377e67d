#pragma once

#include <cstddef>
#include <cstdint>

#include "image/resample.hpp"

namespace resnet {

/// Fractional bits of the weights; 8 bits remain for the value and 2 for overshoot.
inline constexpr int resample_bits = 32 - 8 - 2;

/// Rows of bytes. `readable` is how many bytes may be read from `data` on, which is at least the last row's end.
struct ByteRows {
  const std::uint8_t* data = nullptr;
  std::size_t stride = 0;
  std::size_t readable = 0;
};

/// The two passes of a resize in one instruction set. All sets give the same bytes: sums are exact modulo 2^32, as in
/// Pillow.
struct ResampleKernels {
  const char* name;
  /// out[y][x] = sum of in[y][window of x], rows [0, rows), `channels` 1 or 3, window starts counted from `in.data`.
  void (*horizontal)(const ByteRows& in, std::int64_t rows, std::int64_t channels, const AxisFilter& filter,
                     std::uint8_t* out);
  /// out[y][i] = sum of in[window of y][i], `row_bytes` bytes per row, window starts counted from `in.data`.
  void (*vertical)(const ByteRows& in, std::size_t row_bytes, const AxisFilter& filter, std::uint8_t* out);
};

extern const ResampleKernels portable_resample_kernels;

/// The fastest set that this CPU runs (resample_select_*.cpp).
const ResampleKernels& best_resample_kernels();

}  // namespace resnet
