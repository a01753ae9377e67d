#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace resnet {

/// The IHDR chunk of a PNG file.
struct PngHeader {
  std::int64_t height = 0, width = 0;
  int bit_depth = 0;
  int color_type = 0;

  bool is_gray() const noexcept { return color_type == 0 || color_type == 4; }
};

/// Reads IHDR and checks the size against limits.hpp.
/// @throws Error image_corrupt, image_limit, image_unsupported (16-bit grey, which has no agreed 8-bit reading)
PngHeader read_png_header(std::span<const std::uint8_t> bytes, std::string_view where);

/// The payload of the first chunk of that type before the end or the first damage; empty when there is none.
std::span<const std::uint8_t> find_png_chunk(std::span<const std::uint8_t> bytes, std::string_view type);

/// Checks every chunk's CRC up to IEND, for decoders that do not. @throws Error image_corrupt with the byte offset
void check_png_chunks(std::span<const std::uint8_t> bytes, std::string_view where);

}  // namespace resnet
