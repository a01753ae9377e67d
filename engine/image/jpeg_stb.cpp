// JPEG through stb_image, for builds without libjpeg-turbo: pixels differ from Pillow's by a few levels, and damage
// inside the compressed data is not always noticed.

#include "base/check.hpp"
#include "image/decoders.hpp"
#include "image/jpeg_markers.hpp"
#include "image/stb_decode.hpp"

namespace resnet {

Raster decode_jpeg(std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                   const PixelStorage& storage) {
  const JpegHeader header = scan_jpeg(bytes, where);
  // stb_image takes four components without an Adobe marker for YCbCr with alpha.
  const bool ambiguous = header.components == 4 && !header.adobe_marker;
  if (header.arithmetic || ambiguous) {
    fail(ErrorCode::image_unsupported,
         header.arithmetic ? "arithmetic-coded JPEG files are not decoded by this build"
                           : "CMYK JPEG files without an Adobe marker are not decoded by this build",
         where, "convert the picture to RGB JPEG or PNG, or build with libjpeg-turbo");
  }
  const bool gray = header.components == 1 && color == ColorMode::gray;
  return decode_with_stb(bytes, {header.height, header.width, gray ? 1 : 3, nullptr}, where, storage);
}

std::string_view jpeg_decoder_name() { return "stb_image"; }

}  // namespace resnet
