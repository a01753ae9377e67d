#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "convert/recipe.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// The numbers that make a ResNet of torchvision's code (v1.5: the 3x3 of a bottleneck carries the stride).
struct ResNetShape {
  bool bottleneck = false;
  std::array<std::int64_t, 4> blocks = {};  ///< per stage
  std::int64_t groups = 1;                  ///< of the bottleneck's 3x3
  std::int64_t group_width = 64;            ///< its channels per group in stage 1
  std::int64_t planes = 64;                 ///< channels of the stem
  std::int64_t input_channels = 3;
  std::int64_t classes = 1000;
  bool operator==(const ResNetShape&) const = default;
};

struct TorchvisionNet {
  std::string_view name;
  ResNetShape shape;
  std::int64_t parameters;  ///< as torchvision counts them, with 1000 classes
};
/// The ten ResNets of torchvision.
std::span<const TorchvisionNet> torchvision_nets();
const TorchvisionNet* find_torchvision_net(std::string_view name);

/// The layer list, with torchvision's state-dict keys as tensor names, and the source shape of each.
Recipe resnet_recipe(const ResNetShape& shape);

/// Trainable parameters by arithmetic: independent of the recipe and of any file.
std::int64_t resnet_parameters(const ResNetShape& shape);

/// Reads the shape from key names and tensor shapes alone, or nothing when the tensors are not those of such a network.
/// `why` gets the evidence, for the report.
std::optional<ResNetShape> recognise_resnet(const TensorIndex& tensors, std::string& why);

/// A named net with the input channels and the number of classes that the tensors have.
ResNetShape adapt_to(const TorchvisionNet& net, const TensorIndex& tensors);

/// The net's name, or "resnet" with its numbers for one that is not among the ten.
std::string name_of(const ResNetShape& shape);

}  // namespace resnet::convert
