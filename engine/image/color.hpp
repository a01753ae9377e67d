#pragma once

#include <cstddef>
#include <cstdint>

namespace resnet {

/// Pillow's convert("L") on RGB pixels: (19595 r + 38470 g + 7471 b + 32768) >> 16. `gray` may be `rgb`.
void rgb_to_gray(const std::uint8_t* rgb, std::size_t pixels, std::uint8_t* gray);

/// Pillow's convert("RGB") on the CMYK bytes of a JPEG, which Pillow inverts whatever the Adobe marker says.
/// `rgb` may be `cmyk`.
void jpeg_cmyk_to_rgb(const std::uint8_t* cmyk, std::size_t pixels, std::uint8_t* rgb);

/// Repeats every value three times.
void gray_to_rgb(const std::uint8_t* gray, std::size_t pixels, std::uint8_t* rgb);

}  // namespace resnet
