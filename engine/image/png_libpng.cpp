// PNG through libpng. Every damaged checksum is an error, in pixel data too, where Pillow looks away.

#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string>

#include "base/check.hpp"
#include "image/decoders.hpp"
#include "image/limits.hpp"
#include "image/png_chunks.hpp"

namespace resnet {
namespace {

/// libpng's two structs, the bytes that it reads and the error that it reports.
///
/// libpng leaves through longjmp. It lands in read_info or read_pixels, whose frames hold nothing with a destructor,
/// and is never in flight while other code of ours runs.
class PngReader {
 public:
  PngReader(std::span<const std::uint8_t> bytes, std::string_view where) : rest_(bytes), where_(where) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &on_error, &on_warning);
    if (png_) info_ = png_create_info_struct(png_);
    if (!info_) {
      png_destroy_read_struct(&png_, &info_, nullptr);
      fail(ErrorCode::out_of_memory, "libpng cannot be initialised", where, "free memory");
    }
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  /// Reads up to the pixels and asks for 8 bits and `channels` (1 or 3) channels. Returns the bytes per row.
  std::size_t read_info(int channels) {
    std::size_t row_bytes = 0;
    if (!try_read_info(channels == 3, &row_bytes)) fail_corrupt();
    return row_bytes;
  }

  void read_pixels(std::uint8_t* data, std::size_t row_bytes, std::int64_t height) {
    if (!try_read_pixels(data, row_bytes, height)) fail_corrupt();
  }

 private:
  bool try_read_info(bool rgb, std::size_t* row_bytes) noexcept {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, this, &on_read);
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(png_, max_image_side, max_image_side);
    // Texts and profiles are never used: their contents are skipped, only their checksums are looked at.
    static constexpr png_byte unused[] = "iCCP\0tEXt\0zTXt\0iTXt\0sPLT\0eXIf\0hIST";
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, unused, sizeof unused / 5);
    png_read_info(png_, info_);
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    if (rgb) png_set_gray_to_rgb(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    *row_bytes = png_get_rowbytes(png_, info_);
    return true;
  }

  bool try_read_pixels(std::uint8_t* data, std::size_t row_bytes, std::int64_t height) noexcept {
    if (setjmp(png_jmpbuf(png_))) return false;
    for (int pass = 0; pass < passes_; ++pass) {
      for (std::int64_t y = 0; y < height; ++y) {
        png_read_row(png_, data + static_cast<std::size_t>(y) * row_bytes, nullptr);
      }
    }
    png_read_end(png_, nullptr);
    return true;
  }

  [[noreturn]] void fail_corrupt() const {
    fail(ErrorCode::image_corrupt, std::string(starved_ ? "truncated: " : "the PNG data is damaged: ") + message_,
         where_, "copy or export the picture again");
  }

  static void on_read(png_structp png, png_bytep data, std::size_t size) {
    PngReader& self = *static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > self.rest_.size()) {
      self.starved_ = true;
      png_error(png, "the file ends before its end chunk");
    }
    std::memcpy(data, self.rest_.data(), size);
    self.rest_ = self.rest_.subspan(size);
  }
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    PngReader& self = *static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(self.message_, message, sizeof self.message_ - 1);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}  // odd metadata; damaged pixels are errors

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::span<const std::uint8_t> rest_;
  std::string_view where_;
  int passes_ = 1;
  bool starved_ = false;
  char message_[128] = {};
};

}  // namespace

Raster decode_png(std::span<const std::uint8_t> bytes, ColorMode color, std::string_view where,
                  const PixelStorage& storage) {
  const PngHeader header = read_png_header(bytes, where);
  const bool gray = header.is_gray() && color == ColorMode::gray;
  Raster raster{header.height, header.width, gray ? 1 : 3, nullptr};
  PngReader reader(bytes, where);
  if (reader.read_info(static_cast<int>(raster.channels)) != raster.row_bytes()) {
    fail(ErrorCode::image_corrupt, "the PNG header contradicts itself", where, "export the picture again");
  }
  raster.data = storage(raster.bytes());
  reader.read_pixels(raster.data, raster.row_bytes(), raster.height);
  return raster;
}

std::string_view png_decoder_name() { return "libpng " PNG_LIBPNG_VER_STRING; }

}  // namespace resnet
