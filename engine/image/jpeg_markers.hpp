#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace resnet {

/// What the markers of a JPEG file say, read before a decoder is let loose on it.
struct JpegHeader {
  std::int64_t height = 0, width = 0;
  int components = 0;
  int scans = 0;
  bool arithmetic = false;
  bool adobe_marker = false;
  std::span<const std::uint8_t> exif;  ///< TIFF structure of the first Exif segment, empty when there is none
};

/// Walks all markers up to the end-of-image marker and checks size and scans against limits.hpp.
/// @throws Error image_corrupt (truncated, stray bytes, no frame), image_limit, image_unsupported (12 bits, lossless,
/// hierarchical, 2 components ...)
JpegHeader scan_jpeg(std::span<const std::uint8_t> bytes, std::string_view where);

}  // namespace resnet
