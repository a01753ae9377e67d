#include "image/color.hpp"

#include <algorithm>

namespace resnet {

void rgb_to_gray(const std::uint8_t* rgb, std::size_t pixels, std::uint8_t* gray) {
  for (std::size_t i = 0; i < pixels; ++i) {
    const int sum = rgb[3 * i] * 19595 + rgb[3 * i + 1] * 38470 + rgb[3 * i + 2] * 7471 + 0x8000;
    gray[i] = static_cast<std::uint8_t>(sum >> 16);
  }
}

void jpeg_cmyk_to_rgb(const std::uint8_t* cmyk, std::size_t pixels, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < pixels; ++i) {
    // With x inverted in the file: white = k, and ink takes away c * k / 255, rounded.
    const int white = cmyk[4 * i + 3];
    const int ink[3] = {255 - cmyk[4 * i], 255 - cmyk[4 * i + 1], 255 - cmyk[4 * i + 2]};
    for (std::size_t c = 0; c < 3; ++c) {
      const int product = ink[c] * white + 128;
      rgb[3 * i + c] = static_cast<std::uint8_t>(std::clamp(white - (((product >> 8) + product) >> 8), 0, 255));
    }
  }
}

void gray_to_rgb(const std::uint8_t* gray, std::size_t pixels, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < pixels; ++i) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = gray[i];
}

}  // namespace resnet
