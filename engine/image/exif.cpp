#include "image/exif.hpp"

#include <algorithm>
#include <optional>

namespace resnet {
namespace {

/// Numbers of a TIFF structure in its byte order; nothing outside it is read.
class TiffReader {
 public:
  TiffReader(std::span<const std::uint8_t> bytes, bool little) : bytes_(bytes), little_(little) {}

  std::optional<std::uint32_t> number(std::size_t offset, std::size_t width) const {
    if (offset > bytes_.size() || bytes_.size() - offset < width) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      value = value << 8 | bytes_[offset + (little_ ? width - 1 - i : i)];
    }
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool little_;
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> tiff) noexcept {
  if (tiff.size() < 8) return 1;
  const bool little = tiff[0] == 'I' && tiff[1] == 'I';
  if (!little && !(tiff[0] == 'M' && tiff[1] == 'M')) return 1;
  const TiffReader reader(tiff, little);
  if (reader.number(2, 2) != 42u) return 1;
  const std::size_t directory = reader.number(4, 4).value_or(0);
  const std::uint32_t entries = reader.number(directory, 2).value_or(0);
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + std::size_t{12} * i;
    const auto tag = reader.number(entry, 2);
    if (!tag) return 1;
    if (*tag != 0x0112) continue;
    constexpr std::uint32_t type_short = 3;
    if (reader.number(entry + 2, 2) != type_short) return 1;
    const std::uint32_t value = reader.number(entry + 8, 2).value_or(1);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Raster turn_upright(const Raster& in, int orientation, std::uint8_t* out) {
  // Where the pixel at (y, x) goes. 5..8 exchange the sides, then the same four mirrorings apply.
  const bool swap = swaps_sides(orientation);
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  Raster result{swap ? in.width : in.height, swap ? in.height : in.width, in.channels, out};
  for (std::int64_t y = 0; y < result.height; ++y) {
    const std::int64_t turned_y = mirror_y ? result.height - 1 - y : y;
    for (std::int64_t x = 0; x < result.width; ++x) {
      const std::int64_t turned_x = mirror_x ? result.width - 1 - x : x;
      const std::int64_t source = swap ? turned_x * in.width + turned_y : turned_y * in.width + turned_x;
      std::copy_n(in.data + source * in.channels, in.channels, out + (y * result.width + x) * in.channels);
    }
  }
  return result;
}

}  // namespace resnet
