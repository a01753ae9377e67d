#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "image/raster.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {

// The build takes one file for each format: jpeg_turbo.cpp or jpeg_stb.cpp, png_libpng.cpp or png_stb.cpp.
//
// All decode into memory from `storage` and return 3 channels, or 1 when the file itself is grey and `color` asks for
// grey; a colour picture is made grey by the caller. Alpha is dropped without matting. Thread-safe.
// They throw Error image_corrupt, image_limit, image_unsupported; `where` names the file.

Raster decode_jpeg(std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                   const PixelStorage& storage);
Raster decode_png(std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                  const PixelStorage& storage);
Raster decode_bmp(std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                  const PixelStorage& storage);

/// "TurboJPEG (libjpeg-turbo)", "libpng 1.6.39", "stb_image": what this build decodes with.
std::string_view jpeg_decoder_name();
std::string_view png_decoder_name();

}  // namespace resnet
