#include <algorithm>

#include "image/resample_kernels.hpp"

namespace resnet {
namespace {

constexpr std::int32_t half = 1 << (resample_bits - 1);

std::uint8_t to_byte(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> resample_bits, 0, 255)); }

void horizontal(const ByteRows& in, std::int64_t rows, std::int64_t channels, const AxisFilter& filter,
                std::uint8_t* out) {
  const std::size_t step = static_cast<std::size_t>(channels);
  for (std::int64_t y = 0; y < rows; ++y) {
    const std::uint8_t* row = in.data + static_cast<std::size_t>(y) * in.stride;
    for (std::size_t x = 0; x < filter.windows.size(); ++x) {
      const Window window = filter.windows[x];
      const std::int32_t* weights = filter.weights_of(x);
      for (std::size_t c = 0; c < step; ++c) {
        const std::uint8_t* pixel = row + static_cast<std::size_t>(window.first) * step + c;
        std::int32_t sum = half;
        for (std::int32_t i = 0; i < window.count; ++i, pixel += step) sum += *pixel * weights[i];
        *out++ = to_byte(sum);
      }
    }
  }
}

void vertical(const ByteRows& in, std::size_t row_bytes, const AxisFilter& filter, std::uint8_t* out) {
  std::vector<std::int32_t> sums(row_bytes);
  for (std::size_t y = 0; y < filter.windows.size(); ++y) {
    const Window window = filter.windows[y];
    const std::int32_t* weights = filter.weights_of(y);
    std::fill(sums.begin(), sums.end(), half);
    for (std::int32_t t = 0; t < window.count; ++t) {
      const std::uint8_t* row = in.data + static_cast<std::size_t>(window.first + t) * in.stride;
      for (std::size_t i = 0; i < row_bytes; ++i) sums[i] += row[i] * weights[t];
    }
    for (std::size_t i = 0; i < row_bytes; ++i) *out++ = to_byte(sums[i]);
  }
}

}  // namespace

const ResampleKernels portable_resample_kernels = {"portable", &horizontal, &vertical};

}  // namespace resnet
