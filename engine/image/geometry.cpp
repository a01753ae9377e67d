#include "image/geometry.hpp"

#include "image/limits.hpp"

namespace resnet {
namespace {

/// torchvision's Resize(int) for the long side: int(edge * long / short), a true division that is then cut off.
std::int64_t long_edge(std::int64_t edge, std::int64_t long_side, std::int64_t short_side) {
  return static_cast<std::int64_t>(static_cast<double>(edge * long_side) / static_cast<double>(short_side));
}

std::int64_t half_rounded_to_even(std::int64_t value) {
  const std::int64_t half = value / 2;
  return value % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

}  // namespace

CropAxis center_crop_axis(std::int64_t picture, std::int64_t crop, CropRounding rounding) {
  if (crop > picture) return {0, picture, (crop - picture) / 2};
  const std::int64_t margin = picture - crop;
  return {rounding == CropRounding::even ? half_rounded_to_even(margin) : margin / 2, crop, 0};
}

Geometry plan_geometry(std::int64_t height, std::int64_t width, const Preprocess& preprocess) {
  Geometry geometry;
  geometry.resized_height = height;
  geometry.resized_width = width;
  if (preprocess.resize == ResizeMode::exact) {
    geometry.resized_height = preprocess.resize_h;
    geometry.resized_width = preprocess.resize_w;
  } else if (preprocess.resize == ResizeMode::short_edge) {
    const bool upright = width <= height;
    geometry.resized_height = upright ? long_edge(preprocess.resize_h, height, width) : preprocess.resize_h;
    geometry.resized_width = upright ? preprocess.resize_h : long_edge(preprocess.resize_h, width, height);
  }
  geometry.out_height = preprocess.crop ? preprocess.crop_h : geometry.resized_height;
  geometry.out_width = preprocess.crop ? preprocess.crop_w : geometry.resized_width;
  check_image_size(geometry.out_height, geometry.out_width, "preprocessed picture");
  geometry.rows = center_crop_axis(geometry.resized_height, geometry.out_height, preprocess.crop_rounding);
  geometry.columns = center_crop_axis(geometry.resized_width, geometry.out_width, preprocess.crop_rounding);
  return geometry;
}

}  // namespace resnet
