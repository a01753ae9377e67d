// PNG through stb_image, for builds without libpng. stb_image checks no CRC, so that is done here first.

#include "image/decoders.hpp"
#include "image/png_chunks.hpp"
#include "image/stb_decode.hpp"

namespace resnet {

Raster decode_png(std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                  const PixelStorage& storage) {
  const PngHeader header = read_png_header(bytes, where);
  check_png_chunks(bytes, where);
  const bool gray = header.is_gray() && color == ColorMode::gray;
  return decode_with_stb(bytes, {header.height, header.width, gray ? 1 : 3, nullptr}, where, storage);
}

std::string_view png_decoder_name() { return "stb_image"; }

}  // namespace resnet
