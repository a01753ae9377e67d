// The presets, one row each, and how they follow the network's input size.

#include <algorithm>
#include <string>

#include "base/check.hpp"
#include "image/limits.hpp"
#include "image/validate.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {
namespace {

struct PresetRow {
  const char* name;
  ColorMode color;
  ChannelOrder order;
  ResizeMode resize;
  std::int64_t edge;  ///< both sides of the resize
  Filter filter;
  std::int64_t crop;  ///< both sides of the centre crop; 0 = none
  double scale;
  std::vector<double> mean, std;
};

const std::vector<PresetRow>& presets() {
  constexpr auto rgb = ColorMode::rgb;
  constexpr auto gray = ColorMode::gray;
  constexpr auto RGB = ChannelOrder::rgb;
  constexpr auto BGR = ChannelOrder::bgr;
  constexpr double unit = 1.0 / 255.0;
  const std::vector<double> imagenet_mean = {0.485, 0.456, 0.406}, imagenet_std = {0.229, 0.224, 0.225};
  const std::vector<double> caffe_mean = {103.939, 116.779, 123.68};  // of B, G, R
  static const std::vector<PresetRow> rows = {
      // torchvision's weights V1 and V2 of every ResNet
      {"torchvision", rgb, RGB, ResizeMode::short_edge, 256, Filter::bilinear, 224, unit, imagenet_mean, imagenet_std},
      {"torchvision-v2", rgb, RGB, ResizeMode::short_edge, 232, Filter::bilinear, 224, unit, imagenet_mean,
       imagenet_std},
      // keras.applications after load_img(target_size=(224, 224)): nearest, aspect ratio not kept
      {"keras-caffe", rgb, BGR, ResizeMode::exact, 224, Filter::nearest, 0, 1.0, caffe_mean, {}},
      {"keras-tf", rgb, RGB, ResizeMode::exact, 224, Filter::nearest, 0, 1.0 / 127.5, {1, 1, 1}, {}},
      {"keras-torch", rgb, RGB, ResizeMode::exact, 224, Filter::nearest, 0, unit, imagenet_mean, imagenet_std},
      // small grey pictures such as handwritten digits
      {"gray-small", gray, RGB, ResizeMode::exact, 32, Filter::bilinear, 0, unit, {0.5}, {0.5}},
      // the picture at the network's size, 0 to 1 or 0 to 255: networks that were trained on nothing else, or that
      // normalise their input themselves
      {"raw01", rgb, RGB, ResizeMode::exact, 224, Filter::bilinear, 0, unit, {}, {}},
      {"raw255", rgb, RGB, ResizeMode::exact, 224, Filter::bilinear, 0, 1.0, {}, {}},
  };
  return rows;
}

/// value * size / old_size, rounded down (timm: floor(size / crop_pct)), at least 1.
std::int64_t in_proportion(std::int64_t value, std::int64_t size, std::int64_t old_size) {
  return std::max<std::int64_t>(value * size / old_size, 1);
}

}  // namespace

Preprocess Preprocess::preset(std::string_view name) {
  for (const PresetRow& row : presets()) {
    if (name != row.name) continue;
    Preprocess result;
    result.name = row.name;
    result.color = row.color;
    result.channel_order = row.order;
    result.resize = row.resize;
    result.resize_h = result.resize_w = row.edge;
    result.filter = row.filter;
    result.crop = row.crop != 0;
    if (result.crop) result.crop_h = result.crop_w = row.crop;
    result.scale = row.scale;
    result.mean = row.mean;
    result.std = row.std;
    return result;
  }
  std::string names;
  for (const PresetRow& row : presets()) names += (names.empty() ? "" : ", ") + std::string(row.name);
  fail(ErrorCode::invalid_argument, "there is no preprocessing preset \"" + std::string(name) + "\"", "preset",
       "choose one of " + names);
}

std::vector<std::string> Preprocess::preset_names() {
  std::vector<std::string> names;
  for (const PresetRow& row : presets()) names.emplace_back(row.name);
  return names;
}

Preprocess Preprocess::with_input_size(std::int64_t h, std::int64_t w) const {
  if (h < 1 || w < 1 || h > max_image_side || w > max_image_side) {
    fail(ErrorCode::invalid_argument,
         "the input size " + std::to_string(h) + "x" + std::to_string(w) + " is out of range", "input size",
         "give 1 to " + std::to_string(max_image_side) + " for both sides");
  }
  validate_preprocess(*this);
  Preprocess result = *this;
  if (crop) {
    result.crop_h = h;
    result.crop_w = w;
  }
  if (resize == ResizeMode::exact) {
    result.resize_h = crop ? in_proportion(resize_h, h, crop_h) : h;
    result.resize_w = crop ? in_proportion(resize_w, w, crop_w) : w;
  } else if (resize == ResizeMode::short_edge && crop) {
    // The side that grows more decides, so that a picture which filled the crop still does.
    result.resize_h = result.resize_w =
        std::max(in_proportion(resize_h, h, crop_h), in_proportion(resize_h, w, crop_w));
  }
  validate_preprocess(result);
  return result;
}

}  // namespace resnet
