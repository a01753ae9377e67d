#include "support/random_model.hpp"

#include <cmath>
#include <random>
#include <span>
#include <stdexcept>

#include "base/dtype.hpp"
#include "model/model_file.hpp"

namespace resnet::test {
namespace {

/// Uniform in [0, 1) straight from the generator: std distributions differ between standard libraries.
float uniform(std::mt19937_64& random) { return static_cast<float>(random() >> 40) * 0x1p-24f; }

std::string role_of(const NetworkSpec& network, const std::string& tensor) {
  for (const LayerSpec& layer : network.layers) {
    for (const auto& [role, name] : layer.weights) {
      if (name == tensor) return role;
    }
  }
  throw std::invalid_argument("no layer uses " + tensor);
}

}  // namespace

std::map<std::string, std::vector<float>> random_weights(const NetworkSpec& network, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::map<std::string, std::vector<float>> weights;
  for (const auto& [name, info] : network.tensors) {
    std::size_t size = 1, fan_in = 1;
    for (std::size_t d = 0; d < info.shape.size(); ++d) {
      size *= static_cast<std::size_t>(info.shape[d]);
      if (d > 0) fan_in *= static_cast<std::size_t>(info.shape[d]);
    }
    const std::string role = role_of(network, name);
    const float bound = std::sqrt(3.0f / static_cast<float>(fan_in));
    std::vector<float>& values = weights[name];
    values.resize(size);
    for (float& value : values) {
      const float u = uniform(random);
      if (role == "weight")
        value = (2 * u - 1) * bound;
      else if (role == "gamma" || role == "var")
        value = 0.5f + u;
      else
        value = 0.2f * (2 * u - 1);
    }
  }
  return weights;
}

std::vector<std::byte> random_model(const NetworkSpec& network, std::uint64_t seed) {
  const auto weights = random_weights(network, seed);
  std::map<std::string, std::vector<std::uint16_t>> rounded;
  ModelToWrite model;
  model.layers = network.layers;
  model.output = network.output;
  for (const auto& [name, info] : network.tensors) {
    if (info.dtype == DType::bf16) {
      for (const float value : weights.at(name)) rounded[name].push_back(f32_to_bf16(value));
      model.tensors.push_back({name, info.dtype, info.shape, std::as_bytes(std::span(rounded[name]))});
    } else {
      model.tensors.push_back({name, DType::f32, info.shape, std::as_bytes(std::span(weights.at(name)))});
    }
  }
  return serialise(model);
}

std::vector<float> random_values(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> values(size);
  for (float& value : values) value = 2 * uniform(random) - 1;
  return values;
}

}  // namespace resnet::test
