#include "image/stb_decode.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "base/check.hpp"
#include "image/decoders.hpp"
#include "image/limits.hpp"

namespace {
// Zeroed memory, so that no old bytes can become pixels.
void* stb_malloc(std::size_t size) { return std::calloc(1, size); }
void* stb_realloc(void* pointer, std::size_t size) { return std::realloc(pointer, size); }
void stb_free(void* pointer) { std::free(pointer); }
}  // namespace

// Only the formats that stb_image decodes as Pillow does.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 16384
#define STBI_MALLOC stb_malloc
#define STBI_REALLOC stb_realloc
#define STBI_FREE stb_free
#include <stb_image.h>

namespace resnet {
namespace {

/// Feeds stb_image from memory and notices when it asks for more than there is.
struct Feed {
  std::span<const std::uint8_t> rest;
  bool starved = false;

  static int read(void* user, char* data, int size) {
    Feed& feed = *static_cast<Feed*>(user);
    const std::size_t wanted = static_cast<std::size_t>(size);
    const std::size_t n = std::min(wanted, feed.rest.size());
    // stb_image fills its buffer 128 bytes at a time and may get fewer; every other size is really needed.
    constexpr std::size_t refill = 128;
    if (n == 0 || (n < wanted && wanted != refill)) feed.starved = true;
    if (n > 0) std::memcpy(data, feed.rest.data(), n);
    feed.rest = feed.rest.subspan(n);
    return static_cast<int>(n);
  }
  static void skip(void* user, int size) {
    Feed& feed = *static_cast<Feed*>(user);
    const std::size_t wanted = static_cast<std::size_t>(std::max(size, 0));
    if (wanted > feed.rest.size()) feed.starved = true;
    feed.rest = feed.rest.subspan(std::min(wanted, feed.rest.size()));
  }
  static int at_end(void* user) { return static_cast<Feed*>(user)->rest.empty() ? 1 : 0; }
};

struct FreeStb {
  void operator()(std::uint8_t* pixels) const noexcept { stbi_image_free(pixels); }
};

std::uint32_t little_endian(std::span<const std::uint8_t> bytes, std::size_t offset, std::size_t width) {
  std::uint32_t value = 0;
  for (std::size_t i = width; i-- > 0;) value = value << 8 | bytes[offset + i];
  return value;
}

}  // namespace

Raster decode_with_stb(std::span<const std::uint8_t> bytes, const Raster& shape, std::string_view where,
                       const PixelStorage& storage) {
  const stbi_io_callbacks callbacks = {&Feed::read, &Feed::skip, &Feed::at_end};
  Feed feed{bytes};
  int width = 0, height = 0, channels_in_file = 0;
  const std::unique_ptr<std::uint8_t, FreeStb> pixels(stbi_load_from_callbacks(
      &callbacks, &feed, &width, &height, &channels_in_file, static_cast<int>(shape.channels)));
  if (feed.starved) {
    fail(ErrorCode::image_corrupt, "truncated: the decoder needs more bytes than the file has", where,
         "copy or export the picture again");
  }
  if (!pixels) {
    const std::string reason = stbi_failure_reason();
    if (reason == "outofmem") fail(ErrorCode::out_of_memory, "not enough memory to decode", where, "free memory");
    fail(ErrorCode::image_corrupt, "the decoder (stb_image) gives up: " + reason, where,
         "export the picture again, as PNG or JPEG");
  }
  if (width != shape.width || height != shape.height) {
    fail(ErrorCode::image_corrupt, "two headers with different sizes", where, "export the picture again");
  }
  Raster result = shape;
  result.data = storage(result.bytes());
  std::memcpy(result.data, pixels.get(), result.bytes());
  return result;
}

Raster decode_bmp(std::span<const std::uint8_t> bytes, ColorMode, std::string_view where, const PixelStorage& storage) {
  constexpr std::size_t file_header = 14, os2_header = 12, info_header = 40;
  const bool os2 = bytes.size() >= file_header + os2_header && little_endian(bytes, file_header, 4) == os2_header;
  if (bytes.size() < file_header + (os2 ? os2_header : info_header)) {
    fail(ErrorCode::image_corrupt, "truncated: the BMP header is incomplete", where,
         "copy or export the picture again");
  }
  std::int64_t width, height;
  if (os2) {
    width = little_endian(bytes, 18, 2);
    height = little_endian(bytes, 20, 2);
  } else {
    width = static_cast<std::int32_t>(little_endian(bytes, 18, 4));
    height = static_cast<std::int32_t>(little_endian(bytes, 22, 4));
    height = height < 0 ? -height : height;  // negative: stored top row first
    constexpr std::uint32_t uncompressed = 0, bit_fields = 3;
    const std::uint32_t compression = little_endian(bytes, 30, 4);
    if (compression != uncompressed && compression != bit_fields) {
      fail(ErrorCode::image_unsupported, "compressed BMP files (RLE, embedded JPEG or PNG) are not decoded", where,
           "save the picture as PNG");
    }
  }
  check_image_size(height, width, where);
  return decode_with_stb(bytes, {height, width, 3, nullptr}, where, storage);
}

}  // namespace resnet
