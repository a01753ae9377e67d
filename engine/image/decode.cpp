#include "image/decode.hpp"

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"
#include "image/color.hpp"
#include "image/decoders.hpp"
#include "image/exif.hpp"
#include "image/file_bytes.hpp"
#include "image/format.hpp"
#include "image/jpeg_markers.hpp"
#include "image/limits.hpp"
#include "image/memory_errors.hpp"
#include "image/png_chunks.hpp"

namespace resnet {
namespace {

Raster decode_format(ImageFormat format, std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                     const PixelStorage& storage) {
  switch (format) {
    case ImageFormat::jpeg:
      return decode_jpeg(bytes, color, where, storage);
    case ImageFormat::png:
      return decode_png(bytes, color, where, storage);
    case ImageFormat::bmp:
      return decode_bmp(bytes, color, where, storage);
  }
  fail(ErrorCode::internal, "unknown image format", where);
}

int orientation_of(ImageFormat format, std::span<const std::uint8_t> bytes, std::string_view where) {
  if (format == ImageFormat::jpeg) return exif_orientation(scan_jpeg(bytes, where).exif);
  if (format == ImageFormat::png) return exif_orientation(find_png_chunk(bytes, "eXIf"));
  return 1;
}

Raster decode_color(ImageFormat format, std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                    const PixelStorage& storage) {
  Raster raster = decode_format(format, bytes, color, where, storage);
  if (color == ColorMode::gray && raster.channels == 3) {
    rgb_to_gray(raster.data, static_cast<std::size_t>(raster.height * raster.width), raster.data);
    raster.channels = 1;
  }
  return raster;
}

}  // namespace

Raster decode_raster(std::span<const std::uint8_t> bytes, const DecodeOptions& options, std::string_view where,
                     const PixelStorage& storage) {
  check_image_file_bytes(bytes.size(), where);
  const ImageFormat format = sniff_image(bytes, where);
  const int orientation = options.apply_exif ? orientation_of(format, bytes, where) : 1;
  if (orientation == 1) return decode_color(format, bytes, options.color, where, storage);
  AlignedBuffer lying;
  const Raster raster = decode_color(format, bytes, options.color, where, [&](std::size_t size) {
    lying = AlignedBuffer(size);
    return reinterpret_cast<std::uint8_t*>(lying.data());
  });
  return turn_upright(raster, orientation, storage(raster.bytes()));
}

Image decode_image(std::span<const std::uint8_t> bytes, const DecodeOptions& options, std::string_view where) {
  return with_memory_errors(where, [&] {
    Image image;
    const Raster raster = decode_raster(bytes, options, where, [&](std::size_t size) {
      image.pixels.resize(size);
      return image.pixels.data();
    });
    image.height = raster.height;
    image.width = raster.width;
    image.channels = raster.channels;
    image.pixels.resize(raster.bytes());
    return image;
  });
}

Image load_image(const std::string& path, const DecodeOptions& options) {
  const FileBytes file = read_image_file(path);
  return decode_image(file.view(), options, path);
}

}  // namespace resnet
