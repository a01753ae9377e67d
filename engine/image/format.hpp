#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace resnet {

/// Picture formats that are decoded.
enum class ImageFormat : std::uint8_t { jpeg, png, bmp };

/// Tells the format from the first bytes; the file's name does not count.
/// @throws Error image_unsupported that names a format which is known but not decoded and says what to do instead
ImageFormat sniff_image(std::span<const std::uint8_t> bytes, std::string_view where);

}  // namespace resnet
