#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace resnet {

/// What a picture may cost. All are checked before any memory for pixels is taken.
inline constexpr std::int64_t max_image_side = 16'384;
inline constexpr std::int64_t max_image_pixels = std::int64_t{64} << 20;
inline constexpr std::size_t max_image_file_bytes = std::size_t{64} << 20;
/// Encoders write about ten scans. Every scan visits every pixel, so the product bounds the time.
inline constexpr int max_jpeg_scans = 100;
inline constexpr std::int64_t max_jpeg_scan_pixels = std::int64_t{1} << 30;

/// @throws Error image_corrupt for a side below 1, image_limit for a side or an area beyond the limits
void check_image_size(std::int64_t height, std::int64_t width, std::string_view where);

/// @throws Error image_corrupt for an empty file, image_limit for one beyond max_image_file_bytes
void check_image_file_bytes(std::size_t bytes, std::string_view where);

}  // namespace resnet
