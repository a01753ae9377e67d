#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resnet_engine/export.hpp"
#include "resnet_engine/tensor.hpp"

namespace resnet {

/// A decoded picture: uint8, height x width x channels, interleaved, 1 (grey) or 3 (RGB) channels.
struct Image {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
};

enum class ColorMode : std::uint8_t { rgb, gray };

struct DecodeOptions {
  ColorMode color = ColorMode::rgb;  ///< alpha is dropped; gray follows Pillow's convert("L")
  bool apply_exif = false;           ///< rotate by the EXIF orientation; off, as Pillow and torchvision do
};

/// Resampling filters, bit-identical to Pillow's `Image.resize`.
enum class Filter : std::uint8_t { nearest, box, bilinear, bicubic, lanczos };

/// How the resize step finds its target size.
enum class ResizeMode : std::uint8_t {
  none,        ///< no resize: the picture is used as it is
  short_edge,  ///< short side = `resize_h`, long side in proportion, rounded down (torchvision.Resize(int))
  exact,       ///< to `resize_h` x `resize_w`, aspect ratio not kept
};

/// Everything between a picture and the network's input tensor.
///
/// decode -> resize -> centre crop -> x * scale -> (x - mean[c]) / std[c], in float32, in that order.
struct Preprocess {
  std::string name;  ///< the preset's name, or "custom"
  ColorMode color = ColorMode::rgb;
  ResizeMode resize = ResizeMode::short_edge;
  std::int64_t resize_h = 256, resize_w = 256;
  Filter filter = Filter::bilinear;
  bool crop = true;                          ///< centre crop to crop_h x crop_w; zero-padded when smaller
  std::int64_t crop_h = 224, crop_w = 224;
  double scale = 1.0 / 255.0;
  std::vector<double> mean, std;             ///< one value per channel, or empty for 0 and 1

  /// Parses the JSON that the model file stores under `resnet_engine.preprocess`.
  /// @throws Error bad_header on malformed JSON, bad_attribute on an unknown field or a value out of range
  RESNET_ENGINE_API static Preprocess from_json(std::string_view json);
  RESNET_ENGINE_API std::string to_json() const;

  /// A named preset. @throws Error invalid_argument that lists the names
  RESNET_ENGINE_API static Preprocess preset(std::string_view name);
  RESNET_ENGINE_API static std::vector<std::string> preset_names();

  /// The same preset for another network input size: the crop becomes h x w and the resize edge scales in proportion.
  RESNET_ENGINE_API Preprocess with_input_size(std::int64_t h, std::int64_t w) const;
};

/// Decodes a picture file held in memory: JPEG, PNG, BMP (and what stb_image reads safely).
/// Thread-safe. `where` names the source in errors.
/// @throws Error image_unsupported, image_corrupt (damaged or truncated), image_limit, out_of_memory
RESNET_ENGINE_API Image decode_image(std::span<const std::uint8_t> bytes, const DecodeOptions& options = {},
                                     std::string_view where = {});

/// Reads and decodes a picture file. @throws Error io and everything that decode_image throws
RESNET_ENGINE_API Image load_image(const std::string& path, const DecodeOptions& options = {});

/// Resizes with Pillow's arithmetic (Resample.c), both passes rounded to uint8. Thread-safe.
RESNET_ENGINE_API Image resize_image(const Image& image, std::int64_t height, std::int64_t width, Filter filter);

/// Resize, crop and normalise into `out`: float32, NHWC or NCHW, 1 x crop_h x crop_w x channels, host memory.
/// Thread-safe; uses the calling thread only.
/// @throws Error invalid_argument when `out` does not have the shape of `preprocess`
RESNET_ENGINE_API void preprocess_image(const Image& image, const Preprocess& preprocess, const TensorView& out);

/// Height and width of the tensor that preprocess_image writes for this picture.
struct ImageSize {
  std::int64_t height = 0, width = 0;
};
RESNET_ENGINE_API ImageSize preprocessed_size(const Image& image, const Preprocess& preprocess);

/// Reads, decodes and preprocesses a file in one go, decoding a JPEG no larger than needed never changes the result.
RESNET_ENGINE_API void preprocess_file(const std::string& path, const Preprocess& preprocess, bool apply_exif,
                                       const TensorView& out);

}  // namespace resnet
