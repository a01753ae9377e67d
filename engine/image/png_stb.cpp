// PNG through stb_image, for builds without libpng. stb_image checks no CRC, so that is done here first.

#include <vector>

#include "image/decoders.hpp"
#include "image/png_chunks.hpp"
#include "image/stb_decode.hpp"

namespace resnet {
namespace {

/// The file with its palette filled up to 256 black entries: stb_image looks an index beyond the palette up in memory
/// that nobody has written. Its checksum is wrong then, which stb_image does not see.
std::vector<std::uint8_t> with_full_palette(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t full = 256 * 3;
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  const auto palette = find_png_chunk(bytes, "PLTE");
  if (palette.empty() || palette.size() >= full) return copy;
  const auto begin = copy.begin() + (palette.data() - bytes.data());
  *(begin - 6) = full >> 8;  // the length stands before the type
  *(begin - 5) = full & 0xff;
  copy.insert(begin + static_cast<std::ptrdiff_t>(palette.size()), full - palette.size(), std::uint8_t{0});
  return copy;
}

}  // namespace

Raster decode_png(std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                  const PixelStorage& storage) {
  const PngHeader header = read_png_header(bytes, where);
  check_png_chunks(bytes, where);
  const bool gray = header.is_gray() && color == ColorMode::gray;
  constexpr int palette_type = 3;
  if (header.color_type == palette_type) {
    return decode_with_stb(with_full_palette(bytes), {header.height, header.width, 3, nullptr}, where, storage);
  }
  return decode_with_stb(bytes, {header.height, header.width, gray ? 1 : 3, nullptr}, where, storage);
}

std::string_view png_decoder_name() { return "stb_image"; }

}  // namespace resnet
