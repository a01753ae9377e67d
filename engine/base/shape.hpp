#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/dtype.hpp"

namespace resnet {

/// Logical size of a value: N images of H x W positions with C channels. A matrix is N x 1 x 1 x C.
struct Dims {
  std::int64_t n = 0, h = 0, w = 0, c = 0;

  std::int64_t elements() const noexcept { return n * h * w * c; }
  auto operator<=>(const Dims&) const = default;
};

/// "1x224x224x3"
std::string to_string(const Dims& dims);

/// Memory order of a value. NHWC is the house layout; backends may define private ids from `first_opaque` on.
enum class LayoutId : std::uint16_t { nhwc = 0, nchw = 1, first_opaque = 16 };

/// Everything needed to know a value's bytes. Pad channels [c, c_padded) are zero by contract.
struct ValueDesc {
  Dims dims;
  DType dtype = DType::f32;
  LayoutId layout = LayoutId::nhwc;
  std::int64_t c_padded = 0;  ///< >= dims.c; 0 means dims.c
  float scale = 1;            ///< quantisation, 1 and 0 until int8 exists
  std::int32_t zero_point = 0;

  std::int64_t channels_in_memory() const noexcept { return c_padded == 0 ? dims.c : c_padded; }
  std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(dims.n * dims.h * dims.w * channels_in_memory()) * size_of(dtype);
  }
  bool operator==(const ValueDesc&) const = default;
};

std::string to_string(const ValueDesc& desc);

}  // namespace resnet
