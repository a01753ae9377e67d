#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "image/raster.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {

/// Decodes into memory from `storage`: 3 channels for ColorMode::rgb, 1 for gray. Errors as decode_image.
/// The storage may be larger than the result (a colour picture that becomes grey shrinks in place).
Raster decode_raster(std::span<const std::uint8_t> bytes, const DecodeOptions& options, std::string_view where,
                     const PixelStorage& storage);

}  // namespace resnet
