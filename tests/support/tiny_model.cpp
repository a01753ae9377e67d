#include "support/tiny_model.hpp"

#include <span>

#include "model/model_file.hpp"
#include "resnet_engine/image.hpp"
#include "support/write_bytes.hpp"

namespace resnet::test {
namespace {

Preprocess tiny_preprocess(bool crop) {
  Preprocess preprocess;
  preprocess.name = "custom";
  preprocess.resize = crop ? ResizeMode::short_edge : ResizeMode::none;
  preprocess.resize_h = preprocess.resize_w = 8;
  preprocess.crop = crop;
  preprocess.crop_h = preprocess.crop_w = 8;
  return preprocess;
}

}  // namespace

std::vector<std::byte> tiny_model(const TinyModel& options) {
  const std::vector<float> identity{1, 0, 0, 0, 1, 0, 0, 0, 1};
  const std::vector<float> matrix{8, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0}, bias{0, 0, 0, 2};
  ModelToWrite model;
  model.layers = {
      {"input",
       "input",
       {},
       {{"channels", std::int64_t{3}}, {"height", std::int64_t{8}}, {"width", std::int64_t{8}}},
       {}},
      {"conv",
       "conv2d",
       {"input"},
       {{"stride", std::vector<std::int64_t>{1, 1}}, {"padding", std::string("valid")}},
       {{"weight", "conv.weight"}}},
      {"relu", "relu", {"conv"}, {}, {}},
      {"pool", "global_avg_pool", {"relu"}, {}, {}},
      {"fc", "dense", {"pool"}, {}, {{"weight", "fc.weight"}, {"bias", "fc.bias"}}},
  };
  model.output = "fc";
  if (options.softmax) {
    model.layers.push_back({"softmax", "softmax", {"fc"}, {}, {}});
    model.output = "softmax";
  }
  model.tensors = {{"conv.weight", DType::f32, {3, 1, 1, 3}, std::as_bytes(std::span(identity))},
                   {"fc.weight", DType::f32, {4, 3}, std::as_bytes(std::span(matrix))},
                   {"fc.bias", DType::f32, {4}, std::as_bytes(std::span(bias))}};
  if (options.labels) model.labels = {"red", "green", "blue, the \"sky\"", "dark"};
  if (options.preprocess) model.preprocess_json = tiny_preprocess(options.crop).to_json();
  if (!options.preprocess_json.empty()) model.preprocess_json = options.preprocess_json;
  model.provenance = {{"source", "worked out by hand"}};
  return serialise(model);
}

void write_tiny_model(const std::string& path, const TinyModel& options) { write_bytes(path, tiny_model(options)); }

std::string bmp(std::int64_t height, std::int64_t width, std::array<std::uint8_t, 3> rgb) {
  const std::int64_t stride = (3 * width + 3) / 4 * 4, size = 54 + stride * height;
  std::string out;
  const auto put = [&](std::int64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  out += "BM";
  put(size, 4);
  put(0, 4);
  put(54, 4);
  put(40, 4);
  put(width, 4);
  put(height, 4);
  put(1, 2);
  put(24, 2);
  put(0, 4);
  put(stride * height, 4);
  put(2835, 4);
  put(2835, 4);
  put(0, 8);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (const int channel : {2, 1, 0}) out += static_cast<char>(rgb[static_cast<std::size_t>(channel)]);
    }
    out.append(static_cast<std::size_t>(stride - 3 * width), '\0');
  }
  return out;
}

}  // namespace resnet::test
