#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "image/raster.hpp"

namespace resnet {

/// Decodes with stb_image into `shape.channels` (1 or 3) channels. `shape` is what the caller has read from the header
/// and checked against the limits; stb_image must find the same size.
///
/// The starvation rule: when stb_image asks for bytes behind the end of the file, the file is truncated, whatever
/// stb_image makes of it (it accepts nearly every truncated JPEG and BMP).
Raster decode_with_stb(std::span<const std::uint8_t> bytes, const Raster& shape, std::string_view where,
                       const PixelStorage& storage);

}  // namespace resnet
