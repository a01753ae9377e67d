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

/// Order of the colour channels in the network's input tensor. Grey has one channel and no order.
enum class ChannelOrder : std::uint8_t { rgb, bgr };

/// Resampling filters, bit-identical to Pillow's `Image.resize`.
enum class Filter : std::uint8_t { nearest, box, bilinear, bicubic, lanczos };

/// How the resize step finds its target size.
enum class ResizeMode : std::uint8_t {
  none,        ///< no resize: the picture is used as it is
  short_edge,  ///< short side = `resize_h`, long side in proportion, rounded down (torchvision.Resize(int))
  exact,       ///< to `resize_h` x `resize_w`, aspect ratio not kept
};

/// Where the centre crop begins when an odd number of rows or columns is left over.
enum class CropRounding : std::uint8_t {
  even,  ///< half of it, rounded half to even (torchvision's CenterCrop)
  down,  ///< half of it, rounded down (Hugging Face's image processors)
};

/// Everything between a picture and the network's input tensor.
///
/// decode -> resize -> centre crop -> channel order -> x * scale -> (x - mean[c]) / std[c], in that order.
///
/// Resize and crop work on bytes, as Pillow and torchvision do. Then every step is rounded to float32: byte * scale
/// (one rounding of the exact product, so that 1/255 equals torchvision's ToTensor, a division by 255, bit for bit),
/// minus mean, divided by std (torchvision's Normalize). `scale`, `mean` and `std` are finite, `std` > 0, `scale` != 0.
struct Preprocess {
  std::string name;  ///< the preset's name, or "custom"
  ColorMode color = ColorMode::rgb;
  ChannelOrder channel_order = ChannelOrder::rgb;  ///< bgr: channel 0 of the tensor is blue (Caffe, keras-caffe)
  ResizeMode resize = ResizeMode::short_edge;
  std::int64_t resize_h = 256, resize_w = 256;
  Filter filter = Filter::bilinear;
  bool crop = true;  ///< centre crop to crop_h x crop_w; zero-padded when smaller
  std::int64_t crop_h = 224, crop_w = 224;
  CropRounding crop_rounding = CropRounding::even;
  double scale = 1.0 / 255.0;
  std::vector<double> mean, std;  ///< one value per channel of the tensor, or empty for 0 and 1

  /// Channels of the network's input tensor.
  std::int64_t channels() const noexcept { return color == ColorMode::gray ? 1 : 3; }

  /// Parses the JSON that the model file stores under `resnet_engine.preprocess`.
  /// @throws Error bad_header on malformed JSON, bad_attribute on an unknown field or a value out of range
  RESNET_ENGINE_API static Preprocess from_json(std::string_view json);
  RESNET_ENGINE_API std::string to_json() const;

  /// A named preset. @throws Error invalid_argument that lists the names
  RESNET_ENGINE_API static Preprocess preset(std::string_view name);
  RESNET_ENGINE_API static std::vector<std::string> preset_names();

  /// The same preset for another network input size. A crop becomes h x w and the resize scales in proportion, rounded
  /// down (for a short edge the side that grows more decides); an exact resize without crop becomes h x w.
  /// @throws Error invalid_argument for sides outside 1 to 16384
  RESNET_ENGINE_API Preprocess with_input_size(std::int64_t h, std::int64_t w) const;
};

/// Decodes a picture file held in memory: JPEG, PNG or BMP, told by its content. Pixels equal Pillow's
/// `Image.open(path).convert("RGB")` (or "L") where libjpeg-turbo and libpng are built in; docs/preprocessing.md lists
/// the exceptions. Profiles, gamma and alpha are ignored, an animated PNG gives its default picture. Limits: 64 MiB of
/// file, 16384 pixels per side, 64 Mi pixels, 100 JPEG scans; checked before pixels are allocated. Thread-safe; uses
/// the calling thread only. `where` names the source in errors.
/// @throws Error image_unsupported, image_corrupt (damaged or truncated), image_limit, out_of_memory
RESNET_ENGINE_API Image decode_image(std::span<const std::uint8_t> bytes, const DecodeOptions& options = {},
                                     std::string_view where = {});

/// Reads and decodes a picture file. Pipes, devices and directories are refused without waiting.
/// @throws Error io, file_changed and everything that decode_image throws
RESNET_ENGINE_API Image load_image(const std::string& path, const DecodeOptions& options = {});

/// Resizes to the bytes that Pillow 13's `Image.resize` gives (Resample.c; both passes rounded to uint8). Thread-safe.
/// @throws Error invalid_argument for an inconsistent image or a target outside the limits of decode_image
RESNET_ENGINE_API Image resize_image(const Image& image, std::int64_t height, std::int64_t width, Filter filter);

/// Resize, crop and normalise into `out`: float32, or uint8 for the pixels that normalising would begin with (for
/// SessionOptions::normalize_uint8); NHWC or NCHW, 1 x height x width x channels with height and width of
/// preprocessed_size and 3 channels (1 for gray), host memory. A grey image fills all channels of a colour tensor, a
/// colour image becomes grey first. Thread-safe; uses the calling thread only.
/// @throws Error invalid_argument when `out` does not have that shape or a field of `preprocess` is out of range,
/// image_limit when an uncropped result would be beyond the limits of decode_image
RESNET_ENGINE_API void preprocess_image(const Image& image, const Preprocess& preprocess, const TensorView& out);

struct ImageSize {
  std::int64_t height = 0, width = 0;
};
/// Height and width of the tensor that preprocess_image writes for this picture (its pixels are not looked at).
RESNET_ENGINE_API ImageSize preprocessed_size(const Image& image, const Preprocess& preprocess);

/// load_image and preprocess_image in one go: the same tensor with less memory and time. Thread-safe; uses the calling
/// thread only. @throws Error everything that the two throw, with the path as the place
RESNET_ENGINE_API void preprocess_file(const std::string& path, const Preprocess& preprocess, bool apply_exif,
                                       const TensorView& out);

}  // namespace resnet
