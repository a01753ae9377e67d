#pragma once

#include <cstdint>
#include <span>

#include "image/raster.hpp"

namespace resnet {

/// The orientation tag (0x0112) of the first directory of a TIFF structure, the payload of an Exif segment or eXIf
/// chunk. 1 when absent, out of range or malformed: metadata never makes a picture unreadable.
int exif_orientation(std::span<const std::uint8_t> tiff) noexcept;

/// True when the orientation exchanges height and width.
constexpr bool swaps_sides(int orientation) { return orientation >= 5; }

/// Writes `in` turned upright for orientation 1..8, as Pillow's ImageOps.exif_transpose does. `out` is `in.bytes()`
/// long and does not overlap it. Returns the raster that `out` now holds.
Raster turn_upright(const Raster& in, int orientation, std::uint8_t* out);

}  // namespace resnet
