#include "convert/input_range.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace resnet::convert {
namespace {

/// A network that begins with batch norms; `roles` name the values of each.
struct Front {
  std::vector<LayerSpec> layers;
  std::map<std::string, std::vector<float>> values;
  Front() { add("input", {}); }
  Front& add(const std::string& op, const std::map<std::string, std::vector<float>>& roles) {
    LayerSpec layer;
    layer.name = op + std::to_string(layers.size());
    layer.op = op;
    if (!layers.empty()) layer.inputs = {layers.back().name};
    for (const auto& [role, numbers] : roles) {
      layer.weights[role] = layer.name + role;
      values[layer.name + role] = numbers;
    }
    layers.push_back(layer);
    return *this;
  }
  std::string preset() const {
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, numbers] : values) {
      tensors.push_back(
          {name, DType::f32, {static_cast<std::int64_t>(numbers.size())}, std::as_bytes(std::span(numbers))});
    }
    return raw_preset(layers, tensors);
  }
};

TEST(InputRange, FollowsTheNumbersOfTheFirstLayers) {
  EXPECT_EQ(Front().add("conv2d", {}).preset(), "raw01");
  const auto norm = [](std::vector<float> mean, std::vector<float> var) {
    return Front().add("batch_norm", {{"mean", std::move(mean)}, {"var", std::move(var)}});
  };
  EXPECT_EQ(norm({0, 0, 0}, {65025, 65025, 65025}).preset(), "raw255");                             // x / 255
  EXPECT_EQ(norm({127.5f, 127.5f, 127.5f}, {16256.25f, 16256.25f, 16256.25f}).preset(), "raw255");  // x / 127.5 - 1
  EXPECT_EQ(norm({103.9f, 116.8f, 123.7f}, {1, 1, 1}).preset(), "raw255");                          // caffe
  EXPECT_EQ(norm({0.485f, 0.456f, 0.406f}, {0.0524f, 0.0502f, 0.0506f}).preset(), "raw01");
  EXPECT_EQ(norm({0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f}).preset(), "raw01");  // 2 x - 1
  EXPECT_EQ(norm({120, 120, 7}, {3600, 3600, 1e-14f}).preset(), "raw255");       // a channel that never changed
  // x / 255, then by ImageNet's mean and deviation.
  EXPECT_EQ(norm({0, 0, 0}, {65025, 65025, 65025})
                .add("batch_norm", {{"mean", {0.485f, 0.456f, 0.406f}}, {"var", {0.0524f, 0.0502f, 0.0506f}}})
                .preset(),
            "raw255");
  EXPECT_EQ(Front().add("conv2d", {}).add("batch_norm", {{"mean", {0}}, {"var", {65025}}}).preset(), "raw01");
  EXPECT_EQ(Front().add("batch_norm", {{"gamma", {0.01f}}, {"beta", {0}}, {"mean", {0}}, {"var", {1}}}).preset(),
            "raw255");
}

}  // namespace
}  // namespace resnet::convert
