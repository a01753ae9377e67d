#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"
#include "base/dtype.hpp"
#include "image/color.hpp"
#include "image/decode.hpp"
#include "image/file_bytes.hpp"
#include "image/geometry.hpp"
#include "image/limits.hpp"
#include "image/memory_errors.hpp"
#include "image/normalize.hpp"
#include "image/resample.hpp"
#include "image/validate.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {
namespace {

void check_image(const Image& image) {
  if (image.channels != 1 && image.channels != 3) {
    fail(ErrorCode::invalid_argument, std::to_string(image.channels) + " channels", "image", "use 1 (grey) or 3 (RGB)");
  }
  check_image_size(image.height, image.width, "image");
  const auto bytes = static_cast<std::size_t>(image.height * image.width * image.channels);
  if (image.pixels.size() != bytes) {
    fail(ErrorCode::invalid_argument,
         std::to_string(image.pixels.size()) + " bytes of pixels where height x width x channels is " +
             std::to_string(bytes),
         "image", "fill in the size that the pixels have");
  }
}

void check_output(const TensorView& out, const Geometry& geometry, std::int64_t channels) {
  const auto bad = [](std::string message) {
    fail(ErrorCode::invalid_argument, std::move(message), "preprocess output",
         "allocate float32 or uint8 host memory of the size that preprocessed_size tells");
  };
  if (!out.data) bad("the data pointer is null");
  if (out.dtype != DType::f32 && out.dtype != DType::u8)
    bad("the element type is " + std::string(to_string(out.dtype)) + ", neither f32 nor u8");
  if (out.memory != MemoryKind::host) bad("the tensor is in device memory");
  if (out.n != 1 || out.h != geometry.out_height || out.w != geometry.out_width || out.c != channels) {
    const auto shape = [](std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
      return "N=" + std::to_string(n) + " H=" + std::to_string(h) + " W=" + std::to_string(w) +
             " C=" + std::to_string(c);
    };
    bad("the tensor is " + shape(out.n, out.h, out.w, out.c) + ", the picture becomes " +
        shape(1, geometry.out_height, geometry.out_width, channels));
  }
}

Raster view_of(const Image& image) {
  // Rasters are read only from here on; the type serves decoders too.
  return {image.height, image.width, image.channels, const_cast<std::uint8_t*>(image.pixels.data())};
}

/// The resized and cropped picture, zero where the crop is larger.
AlignedBuffer crop_resized(const Raster& picture, const Preprocess& preprocess, const Geometry& geometry) {
  const std::size_t channels = static_cast<std::size_t>(picture.channels);
  const std::size_t row_bytes = static_cast<std::size_t>(geometry.out_width) * channels;
  AlignedBuffer cropped(static_cast<std::size_t>(geometry.out_height) * row_bytes);
  auto* out = reinterpret_cast<std::uint8_t*>(cropped.data());
  const Region region = geometry.region();
  if (region.height == geometry.out_height && region.width == geometry.out_width) {
    resize_region(picture, geometry.resized_height, geometry.resized_width, preprocess.filter, region, out);
    return cropped;
  }
  const std::size_t region_row_bytes = static_cast<std::size_t>(region.width) * channels;
  AlignedBuffer inner(static_cast<std::size_t>(region.height) * region_row_bytes);
  auto* from = reinterpret_cast<std::uint8_t*>(inner.data());
  resize_region(picture, geometry.resized_height, geometry.resized_width, preprocess.filter, region, from);
  std::fill_n(out, cropped.size(), std::uint8_t{0});
  out += static_cast<std::size_t>(geometry.rows.offset) * row_bytes +
         static_cast<std::size_t>(geometry.columns.offset) * channels;
  for (std::int64_t y = 0; y < region.height; ++y, from += region_row_bytes, out += row_bytes) {
    std::copy_n(from, region_row_bytes, out);
  }
  return cropped;
}

/// Writes what `table` says of every byte. A grey picture fills all channels of a colour tensor.
template <class Value>
void look_up(const std::uint8_t* pixels, std::int64_t picture_channels, const Preprocess& preprocess,
             const std::vector<std::array<Value, 256>>& table, const TensorView& out) {
  const std::int64_t area = out.h * out.w;
  Value* to = static_cast<Value*>(out.data);
  const bool nhwc = out.layout == Layout::nhwc;
  const std::int64_t pixel_step = nhwc ? out.c : 1;
  for (std::int64_t c = 0; c < out.c; ++c) {
    const std::array<Value, 256>& values = table[static_cast<std::size_t>(c)];
    const std::uint8_t* from = pixels + (picture_channels == 1 ? 0 : source_channel(preprocess, c));
    Value* channel = to + (nhwc ? c : c * area);
    for (std::int64_t i = 0; i < area; ++i) channel[i * pixel_step] = values[from[i * picture_channels]];
  }
}

/// `picture` has 1 channel, or 3 where the network takes colour.
void preprocess_raster(const Raster& picture, const Preprocess& preprocess, const TensorView& out) {
  with_memory_errors("preprocess", [&] {
    const Geometry geometry = plan_geometry(picture.height, picture.width, preprocess);
    check_output(out, geometry, preprocess.channels());
    const AlignedBuffer cropped = crop_resized(picture, preprocess, geometry);
    const auto* pixels = reinterpret_cast<const std::uint8_t*>(cropped.data());
    if (out.dtype == DType::f32)
      return look_up(pixels, picture.channels, preprocess, make_normalize_table(preprocess), out);
    std::array<std::uint8_t, 256> bytes;
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    look_up(pixels, picture.channels, preprocess,
            std::vector<std::array<std::uint8_t, 256>>(static_cast<std::size_t>(out.c), bytes), out);
  });
}

}  // namespace

Image resize_image(const Image& image, std::int64_t height, std::int64_t width, Filter filter) {
  check_image(image);
  if (height < 1 || width < 1 || height > max_image_side || width > max_image_side ||
      height * width > max_image_pixels) {
    fail(ErrorCode::invalid_argument, "cannot resize to " + std::to_string(width) + "x" + std::to_string(height),
         "resize_image", "use 1 to " + std::to_string(max_image_side) + " per side");
  }
  return with_memory_errors("resize_image", [&] {
    Image result{height, width, image.channels, {}};
    result.pixels.resize(static_cast<std::size_t>(height * width * image.channels));
    resize_region(view_of(image), height, width, filter, {0, 0, height, width}, result.pixels.data());
    return result;
  });
}

ImageSize preprocessed_size(const Image& image, const Preprocess& preprocess) {
  validate_preprocess(preprocess);
  check_image_size(image.height, image.width, "image");
  const Geometry geometry = plan_geometry(image.height, image.width, preprocess);
  return {geometry.out_height, geometry.out_width};
}

void preprocess_image(const Image& image, const Preprocess& preprocess, const TensorView& out) {
  validate_preprocess(preprocess);
  check_image(image);
  if (preprocess.color == ColorMode::gray && image.channels == 3) {
    const std::size_t pixels = static_cast<std::size_t>(image.height * image.width);
    AlignedBuffer gray(pixels);
    auto* data = reinterpret_cast<std::uint8_t*>(gray.data());
    rgb_to_gray(image.pixels.data(), pixels, data);
    return preprocess_raster({image.height, image.width, 1, data}, preprocess, out);
  }
  preprocess_raster(view_of(image), preprocess, out);
}

void preprocess_file(const std::string& path, const Preprocess& preprocess, bool apply_exif, const TensorView& out) {
  validate_preprocess(preprocess);
  // Large pictures go into memory that is neither cleared nor copied.
  AlignedBuffer pixels;
  Raster picture;
  {
    const FileBytes file = read_image_file(path);
    picture = decode_raster(file.view(), {preprocess.color, apply_exif}, path, [&](std::size_t size) {
      pixels = AlignedBuffer(size);
      return reinterpret_cast<std::uint8_t*>(pixels.data());
    });
  }
  try {
    preprocess_raster(picture, preprocess, out);
  } catch (const Error& error) {
    fail(error.code(), error.message() + " (" + error.where() + ")", path, error.next());
  }
}

}  // namespace resnet
