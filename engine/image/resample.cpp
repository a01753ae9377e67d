// Pillow's two-pass resampling (Resample.c, Geometry.c of Pillow 13) restated: same windows, same weights, same
// roundings.

#include "image/resample.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/aligned_buffer.hpp"
#include "image/resample_kernels.hpp"

namespace resnet {
namespace {

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double bilinear(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic(double x) {  // Catmull-Rom, a = -0.5
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

struct FilterShape {
  double (*weight)(double);
  double support;
};

FilterShape shape_of(Filter filter) {
  switch (filter) {
    case Filter::box:
      return {box, 0.5};
    case Filter::bicubic:
      return {bicubic, 2.0};
    case Filter::lanczos:
      return {lanczos, 3.0};
    case Filter::bilinear:
    case Filter::nearest:
      break;  // nearest has no weights: resize_nearest
  }
  return {bilinear, 1.0};
}

std::int32_t to_fixed(double weight) {
  return static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << resample_bits));
}

std::uint8_t* bytes_of(AlignedBuffer& buffer) { return reinterpret_cast<std::uint8_t*>(buffer.data()); }

void resize_nearest(const Raster& in, std::int64_t out_height, std::int64_t out_width, const Region& region,
                    std::uint8_t* out) {
  const auto rows = nearest_indices(in.height, out_height, region.top, region.top + region.height);
  const auto columns = nearest_indices(in.width, out_width, region.left, region.left + region.width);
  for (const std::int32_t row : rows) {
    for (const std::int32_t column : columns) {
      for (std::int64_t c = 0; c < in.channels; ++c) {
        *out++ = row < 0 || column < 0 ? std::uint8_t{0} : in.data[(row * in.width + column) * in.channels + c];
      }
    }
  }
}

/// The union of all windows, and the windows moved so that it starts at 0.
Window rebase(AxisFilter& filter) {
  std::int32_t first = filter.windows.front().first, end = 0;
  for (const Window& window : filter.windows) {
    first = std::min(first, window.first);
    end = std::max(end, window.end());
  }
  for (Window& window : filter.windows) window.first -= first;
  return {first, end - first};
}

void copy_rows(const ByteRows& in, std::size_t row_bytes, std::int64_t rows, std::uint8_t* out) {
  for (std::int64_t y = 0; y < rows; ++y) {
    std::memcpy(out + static_cast<std::size_t>(y) * row_bytes, in.data + static_cast<std::size_t>(y) * in.stride,
                row_bytes);
  }
}

}  // namespace

AxisFilter make_axis_filter(std::int64_t in, std::int64_t out, Filter filter, std::int64_t begin, std::int64_t end) {
  const FilterShape shape = shape_of(filter);
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(scale, 1.0);
  const double support = shape.support * filter_scale;
  const double inverse_scale = 1.0 / filter_scale;
  AxisFilter axis;
  axis.taps = static_cast<std::int32_t>(std::ceil(support)) * 2 + 1;
  const std::size_t outputs = static_cast<std::size_t>(end - begin);
  axis.windows.reserve(outputs);
  axis.weights.assign(outputs * static_cast<std::size_t>(axis.taps), 0);
  std::vector<double> weights(static_cast<std::size_t>(axis.taps));
  std::int32_t* fixed = axis.weights.data();
  for (std::int64_t x = begin; x < end; ++x, fixed += axis.taps) {
    const double center = (static_cast<double>(x) + 0.5) * scale;
    const auto first = std::max(static_cast<std::int32_t>(center - support + 0.5), 0);
    const auto last = std::min(static_cast<std::int32_t>(center + support + 0.5), static_cast<std::int32_t>(in));
    const std::int32_t count = last - first;
    double sum = 0.0;
    for (std::int32_t i = 0; i < count; ++i) {
      const double weight = shape.weight((i + first - center + 0.5) * inverse_scale);
      weights[static_cast<std::size_t>(i)] = weight;
      sum += weight;
    }
    for (std::int32_t i = 0; i < count; ++i) {
      const double weight = weights[static_cast<std::size_t>(i)];
      fixed[i] = to_fixed(sum != 0.0 ? weight / sum : weight);
    }
    axis.windows.push_back({first, count});
  }
  return axis;
}

std::vector<std::int32_t> nearest_indices(std::int64_t in, std::int64_t out, std::int64_t begin, std::int64_t end) {
  // Added up from 0, because Pillow does: the closed form differs in one width out of five.
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  double position = scale * 0.5;
  std::vector<std::int32_t> indices;
  indices.reserve(static_cast<std::size_t>(end - begin));
  for (std::int64_t x = 0; x < end; ++x, position += scale) {
    if (x < begin) continue;
    const auto index = static_cast<std::int64_t>(position);
    indices.push_back(index < in ? static_cast<std::int32_t>(index) : -1);
  }
  return indices;
}

bool vertical_first(std::int64_t in_height, std::int64_t in_width, std::int64_t out_height, std::int64_t out_width) {
  const std::int64_t rows_less = in_height - out_height, columns_less = in_width - out_width;
  return rows_less > 0 && rows_less > 2 * columns_less;
}

void resize_region(const Raster& in, std::int64_t out_height, std::int64_t out_width, Filter filter,
                   const Region& region, std::uint8_t* out) {
  if (filter == Filter::nearest) return resize_nearest(in, out_height, out_width, region, out);
  const std::size_t channels = static_cast<std::size_t>(in.channels);
  const bool horizontal = out_width != in.width, vertical = out_height != in.height;
  AxisFilter columns, rows;
  // What the region needs of the picture.
  Window x{static_cast<std::int32_t>(region.left), static_cast<std::int32_t>(region.width)};
  Window y{static_cast<std::int32_t>(region.top), static_cast<std::int32_t>(region.height)};
  if (horizontal) {
    columns = make_axis_filter(in.width, out_width, filter, region.left, region.left + region.width);
    x = rebase(columns);
  }
  if (vertical) {
    rows = make_axis_filter(in.height, out_height, filter, region.top, region.top + region.height);
    y = rebase(rows);
  }
  const std::size_t offset =
      static_cast<std::size_t>(y.first) * in.row_bytes() + static_cast<std::size_t>(x.first) * channels;
  const ByteRows source{in.data + offset, in.row_bytes(), in.bytes() - offset};
  const ResampleKernels& kernels = best_resample_kernels();
  const std::size_t out_row_bytes = static_cast<std::size_t>(region.width) * channels;
  if (!horizontal && !vertical) {
    copy_rows(source, out_row_bytes, region.height, out);
  } else if (!vertical) {
    kernels.horizontal(source, y.count, in.channels, columns, out);
  } else if (!horizontal) {
    kernels.vertical(source, out_row_bytes, rows, out);
  } else if (vertical_first(in.height, in.width, out_height, out_width)) {
    const std::size_t row_bytes = static_cast<std::size_t>(x.count) * channels;
    AlignedBuffer between(row_bytes * static_cast<std::size_t>(region.height));
    kernels.vertical(source, row_bytes, rows, bytes_of(between));
    kernels.horizontal({bytes_of(between), row_bytes, between.size()}, region.height, in.channels, columns, out);
  } else {
    AlignedBuffer between(out_row_bytes * static_cast<std::size_t>(y.count));
    kernels.horizontal(source, y.count, in.channels, columns, bytes_of(between));
    kernels.vertical({bytes_of(between), out_row_bytes, between.size()}, out_row_bytes, rows, out);
  }
}

}  // namespace resnet
