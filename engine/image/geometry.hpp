#pragma once

#include <cstdint>

#include "image/resample.hpp"
#include "resnet_engine/image.hpp"

namespace resnet {

/// One axis of the centre crop: `length` pixels from `begin` of the picture go to `offset` of the output.
struct CropAxis {
  std::int64_t begin = 0, length = 0, offset = 0;
};

/// The margin is halved and rounded; a picture that is smaller is padded, with the odd pixel behind it.
CropAxis center_crop_axis(std::int64_t picture, std::int64_t crop, CropRounding rounding);

/// Where everything goes for a picture of a given size.
struct Geometry {
  std::int64_t resized_height = 0, resized_width = 0;
  std::int64_t out_height = 0, out_width = 0;  ///< the tensor
  CropAxis rows, columns;                      ///< of the resized picture into the tensor

  Region region() const { return {rows.begin, columns.begin, rows.length, columns.length}; }
};

/// @throws Error image_limit when the resized picture would be beyond the limits and nothing crops it
Geometry plan_geometry(std::int64_t height, std::int64_t width, const Preprocess& preprocess);

}  // namespace resnet
