#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace resnet::test {

/// A model whose answers can be worked out by hand: input 8x8x3 -> conv (1x1, identity) -> relu -> pool (global
/// average)
/// -> fc. The logits of a picture of one colour (r, g, b in 0..1) are {8 r, 8 g, 8 b, 2}; labels "red", "green",
/// "blue, the \"sky\"", "dark".
struct TinyModel {
  bool preprocess = true;  ///< the file says: short edge 8, centre crop 8x8, 0..1
  bool crop = true;        ///< off: pictures keep their own shape
  bool labels = true;
  bool softmax = false;              ///< the network ends in a softmax
  std::string preprocess_json = {};  ///< what the file says instead, where not empty
};

std::vector<std::byte> tiny_model(const TinyModel& options = {});
void write_tiny_model(const std::string& path, const TinyModel& options = {});

/// A 24-bit BMP file of one colour.
std::string bmp(std::int64_t height, std::int64_t width, std::array<std::uint8_t, 3> rgb);

}  // namespace resnet::test
