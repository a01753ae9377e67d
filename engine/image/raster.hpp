#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace resnet {

/// Pixels in somebody else's memory: uint8, height x width x channels, interleaved, no row padding.
struct Raster {
  std::int64_t height = 0, width = 0, channels = 0;
  std::uint8_t* data = nullptr;

  std::size_t row_bytes() const noexcept { return static_cast<std::size_t>(width * channels); }
  std::size_t bytes() const noexcept { return row_bytes() * static_cast<std::size_t>(height); }
};

/// Gives a decoder memory for `bytes` bytes, uninitialised or not, which stays valid until it is asked again.
/// Called at most once per decode, after every limit has been checked.
using PixelStorage = std::function<std::uint8_t*(std::size_t bytes)>;

}  // namespace resnet
