#include "convert/input_range.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "convert/materialise.hpp"

namespace resnet::convert {
namespace {

/// The values of a layer's weight, or `count` times `fallback` where it has none.
std::vector<double> values_of(const LayerSpec& layer, const char* role, std::span<const TensorToWrite> tensors,
                              std::size_t count, double fallback) {
  const auto key = layer.weights.find(role);
  const auto tensor = std::find_if(tensors.begin(), tensors.end(), [&](const TensorToWrite& t) {
    return key != layer.weights.end() && t.name == key->second;
  });
  if (tensor == tensors.end()) return std::vector<double>(count, fallback);
  std::vector<double> values;
  for (std::size_t i = 0; i < tensor->bytes.size() / size_of(tensor->dtype); ++i) {
    values.push_back(static_cast<double>(stored_value(tensor->dtype, tensor->bytes, i)));
  }
  return values;
}

double eps_of(const LayerSpec& layer) {
  const auto eps = layer.attrs.find("eps");
  const auto* value = eps == layer.attrs.end() ? nullptr : std::get_if<double>(&eps->second);
  return value == nullptr ? 0 : *value;
}

}  // namespace

std::string raw_preset(const std::vector<LayerSpec>& layers, std::span<const TensorToWrite> tensors) {
  // The common preprocessings of 0 ... 255 divide by 58 at least, or only subtract 100; those of 0 ... 1 multiply by up
  // to 5 and shift by 3.
  constexpr double small_scale = 1.0 / 16, large_shift = 16;
  double smallest_scale = 1, smallest_shift = 0;  // a channel that never changed in training has any
  std::string_view at = layers.front().name;
  std::vector<double> scale, shift;  // of all batch norms so far: y = scale x + shift
  for (const LayerSpec& layer : layers) {
    if (layer.inputs.size() != 1 || layer.inputs[0] != at) continue;
    if (layer.op != "batch_norm") break;
    at = layer.name;
    if (scale.empty()) {
      const std::size_t channels = values_of(layer, "mean", tensors, 0, 0).size();
      scale.assign(channels, 1);
      shift.assign(channels, 0);
    }
    const std::size_t n = scale.size();
    const auto mean = values_of(layer, "mean", tensors, n, 0), variance = values_of(layer, "var", tensors, n, 1),
               gamma = values_of(layer, "gamma", tensors, n, 1), beta = values_of(layer, "beta", tensors, n, 0);
    smallest_scale = smallest_shift = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < n; ++c) {
      const double factor = gamma[c] / std::sqrt(variance[c] + eps_of(layer));
      shift[c] = (shift[c] - mean[c]) * factor + beta[c];
      scale[c] *= factor;
      smallest_scale = std::min(smallest_scale, std::abs(scale[c]));
      smallest_shift = std::min(smallest_shift, std::abs(shift[c]));
    }
  }
  return smallest_scale < small_scale || smallest_shift > large_shift ? "raw255" : "raw01";
}

}  // namespace resnet::convert
