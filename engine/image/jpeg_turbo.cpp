// JPEG through TurboJPEG: accurate DCT and interpolated chroma are its defaults, which makes the pixels bit-identical
// to Pillow's for every valid file.

#include <turbojpeg.h>

#include <memory>
#include <string>

#include "base/check.hpp"
#include "image/color.hpp"
#include "image/decoders.hpp"
#include "image/jpeg_markers.hpp"

namespace resnet {
namespace {

struct DestroyTurboJpeg {
  void operator()(void* handle) const noexcept { tjDestroy(handle); }
};
using TurboJpeg = std::unique_ptr<void, DestroyTurboJpeg>;

constexpr int decode_flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING;

[[noreturn]] void corrupt(tjhandle handle, std::string_view where) {
  fail(ErrorCode::image_corrupt, std::string("the JPEG data is damaged: ") + tjGetErrorStr2(handle), where,
       "copy or export the picture again");
}

/// Both must have read the same frame, or the buffer would have the wrong size.
void check_same_size(tjhandle handle, std::span<const std::uint8_t> bytes, const JpegHeader& header,
                     std::string_view where) {
  int width = -1, height = -1, subsampling = 0, colorspace = 0;
  // The status is not looked at: it is also an error for sampling factors that TurboJPEG has no name for.
  (void)tjDecompressHeader3(handle, bytes.data(), bytes.size(), &width, &height, &subsampling, &colorspace);
  if (width != header.width || height != header.height) corrupt(handle, where);
}

}  // namespace

Raster decode_jpeg(std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                   const PixelStorage& storage) {
  const JpegHeader header = scan_jpeg(bytes, where);
  const TurboJpeg handle(tjInitDecompress());
  if (!handle) fail(ErrorCode::out_of_memory, "TurboJPEG cannot be initialised", where, "free memory");
  check_same_size(handle.get(), bytes, header, where);

  const bool cmyk = header.components == 4;
  const bool gray = header.components == 1 && color == ColorMode::gray;
  const std::int64_t channels = gray ? 1 : 3;
  const std::int64_t decoded_channels = cmyk ? 4 : channels;
  const int format = cmyk ? TJPF_CMYK : gray ? TJPF_GRAY : TJPF_RGB;
  const std::int64_t pixels = header.height * header.width;
  std::uint8_t* data = storage(static_cast<std::size_t>(pixels * decoded_channels));
  if (tjDecompress2(handle.get(), bytes.data(), bytes.size(), data, static_cast<int>(header.width),
                    static_cast<int>(header.width * decoded_channels), static_cast<int>(header.height), format,
                    decode_flags) != 0) {
    corrupt(handle.get(), where);
  }
  if (cmyk) jpeg_cmyk_to_rgb(data, static_cast<std::size_t>(pixels), data);
  return {header.height, header.width, channels, data};
}

std::string_view jpeg_decoder_name() { return "TurboJPEG (libjpeg-turbo)"; }

}  // namespace resnet
