#pragma once

#include <cstdint>
#include <vector>

#include "image/raster.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {

/// A rectangle of pixels.
struct Region {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
};

/// The input pixels [first, first + count) that one output pixel is made of.
struct Window {
  std::int32_t first = 0, count = 0;
  std::int32_t end() const noexcept { return first + count; }
};

/// Windows and fixed-point weights of the outputs [begin, end) along one axis.
struct AxisFilter {
  std::vector<Window> windows;
  std::vector<std::int32_t> weights;  ///< taps per output, 22 fractional bits, zero behind each window's count
  std::int32_t taps = 0;

  const std::int32_t* weights_of(std::size_t output) const { return &weights[output * static_cast<std::size_t>(taps)]; }
};

/// Pillow's precompute_coeffs (Resample.c) for resizing `in` to `out` pixels with a filter other than nearest.
AxisFilter make_axis_filter(std::int64_t in, std::int64_t out, Filter filter, std::int64_t begin, std::int64_t end);

/// Pillow's nearest-neighbour source index for outputs [begin, end); -1 where rounding leaves the picture.
std::vector<std::int32_t> nearest_indices(std::int64_t in, std::int64_t out, std::int64_t begin, std::int64_t end);

/// True when Pillow 13 resizes rows before columns, which shows because values are rounded to 8 bits in between.
bool vertical_first(std::int64_t in_height, std::int64_t in_width, std::int64_t out_height, std::int64_t out_width);

/// Writes `region` of `in` resized to out_height x out_width into `out` (region.height x region.width x channels). Only
/// what the region needs is computed; the pixels are those of the whole resize.
void resize_region(const Raster& in, std::int64_t out_height, std::int64_t out_width, Filter filter,
                   const Region& region, std::uint8_t* out);

}  // namespace resnet
