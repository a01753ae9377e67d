#include "convert/resnet_head.hpp"

#include <algorithm>
#include <string_view>

#include "convert/name_families.hpp"
#include "convert/recognise_resnet.hpp"

namespace resnet::convert {
namespace {

std::string_view folder(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

constexpr std::size_t most_layers = 8;  // with more, these are no head's

class Head {
 public:
  Head(std::vector<SourceTensor>& tensors, ResNetShape& shape) : tensors_(tensors), shape_(shape) {
    for (SourceTensor& tensor : tensors) {
      const bool in_block = tensor.name.starts_with("layer") && is_canonical_key(tensor.name);
      if (tensor.shape.size() == 2 && tensor.key.ends_with("weight") && !in_block) layers_.push_back(&tensor);
    }
    if (layers_.size() > most_layers) return;
    if (!is_chain()) std::reverse(layers_.begin(), layers_.end());
  }

  bool is_missing() const {
    const bool blocks = std::any_of(tensors_.begin(), tensors_.end(), [](const auto& t) {
      return t.name.starts_with("layer1.") && is_canonical_key(t.name);
    });
    return blocks && layers_.empty() && std::none_of(tensors_.begin(), tensors_.end(), [&](const SourceTensor& tensor) {
             const bool spare = !is_canonical_key(tensor.name) && tensor.shape.size() > 1;
             return folder(tensor.name) == "fc" || (spare && tensor.shape[1] == shape_.features());
           });
  }

  bool is_chain() const {
    if (layers_.size() > most_layers) return false;
    std::int64_t channels = shape_.features();
    for (const SourceTensor* layer : layers_) {
      if (layer->shape[1] != channels) return false;
      channels = layer->shape[0];
    }
    return !layers_.empty() && channels >= 1 && channels <= max_classes;
  }

  /// The name of a batch norm beside the dense layers, or nothing.
  std::string_view norm() const {
    for (const SourceTensor& tensor : tensors_) {
      if (!tensor.key.ends_with("running_mean") || tensor.shape.size() != 1 || is_canonical_key(tensor.name)) continue;
      const bool beside = std::any_of(layers_.begin(), layers_.end(), [&](const SourceTensor* layer) {
        return folder(folder(layer->key)) == folder(folder(tensor.key)) &&
               (layer->shape[1] == tensor.shape[0] || layer->shape[0] == tensor.shape[0]);
      });
      if (beside) return folder(tensor.key);
    }
    return {};
  }

  std::size_t size() const { return layers_.size(); }
  std::string names() const {
    std::string text;
    for (const SourceTensor* layer : layers_) {
      text += (text.empty() ? "" : ", ") + std::string(folder(layer->key)) + ' ' + to_string(layer->shape);
    }
    return text;
  }

  void take() {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const bool last = i + 1 == layers_.size();
      const std::string name = last ? "fc" : "fc." + std::to_string(i);
      const std::string key = std::string(folder(layers_[i]->key)) + ".bias";
      const auto bias = std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& t) { return t.key == key; });
      layers_[i]->name = name + ".weight";
      if (bias != tensors_.end()) bias->name = name + ".bias";
      if (last) {
        shape_.classes = layers_[i]->shape[0];
        shape_.head_bias = bias != tensors_.end();
      } else {
        shape_.hidden.push_back({layers_[i]->shape[0], bias != tensors_.end()});
      }
    }
  }

 private:
  std::vector<SourceTensor>& tensors_;
  ResNetShape& shape_;
  std::vector<SourceTensor*> layers_;  ///< weights, from the pool to the classes where they are a chain
};

}  // namespace

HeadProblem read_head(bool relu, const std::string& arch, std::vector<SourceTensor>& tensors, ResNetShape& shape) {
  const std::string otherwise =
      "export the network to ONNX and convert that, or describe the layers in a recipe (docs/convert.md)";
  Head head(tensors, shape);
  if (head.is_missing()) {
    return {"holds a backbone without a classifier: no tensor stands behind the pool",
            "convert the file of the whole network, or describe the layers in a recipe that ends in the pool "
            "(docs/convert.md)"};
  }
  if (!head.is_chain()) return {};
  const std::string_view norm = head.norm();
  if (!norm.empty()) {
    return {"the head has a batch norm (" + std::string(norm) + ") beside " + head.names() +
                "; what lies between them, no tensor tells",
            otherwise};
  }
  if (head.size() < 2) return {};
  if (relu) {
    head.take();
    return {};
  }
  return {"the head has " + std::to_string(head.size()) + " dense layers (" + head.names() +
              "); what lies between them, no tensor tells",
          "where it is ReLU, answer --arch " + arch + ",head=relu; otherwise " + otherwise};
}

}  // namespace resnet::convert
