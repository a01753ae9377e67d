#include "image/limits.hpp"

#include <string>

#include "base/check.hpp"

namespace resnet {

void check_image_size(std::int64_t height, std::int64_t width, std::string_view where) {
  if (height < 1 || width < 1) {
    fail(ErrorCode::image_corrupt,
         "the header says " + std::to_string(width) + "x" + std::to_string(height) + " pixels", where,
         "export the picture again");
  }
  if (height > max_image_side || width > max_image_side || height * width > max_image_pixels) {
    fail(ErrorCode::image_limit,
         std::to_string(width) + "x" + std::to_string(height) + " pixels are beyond the limits of " +
             std::to_string(max_image_side) + " per side and " + std::to_string(max_image_pixels) + " in all",
         where, "scale the picture down first");
  }
}

void check_image_file_bytes(std::size_t bytes, std::string_view where) {
  if (bytes == 0) fail(ErrorCode::image_corrupt, "the file is empty", where, "export the picture again");
  if (bytes > max_image_file_bytes) {
    fail(ErrorCode::image_limit,
         std::to_string(bytes) + " bytes are beyond the limit of " + std::to_string(max_image_file_bytes) +
             " for a picture file",
         where, "scale the picture down or compress it");
  }
}

}  // namespace resnet
