#pragma once

#include <optional>
#include <string_view>

#include "convert/resnet_shape.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// Whether a ResNet has a tensor of that canonical name: torchvision's, with timm's for what torchvision's nets lack
/// ("conv1.3.weight", "layer2.0.downsample.1.weight", "layer1.0.se.fc1.weight", "norm.weight" ...).
bool is_canonical_key(std::string_view key);

/// Reads a network from the tensors' canonical names and their shapes, or nothing when they are not those of a ResNet.
/// No tensor is needed for itself: a net with one that is missing, renamed or of another shape is still read, so that
/// the mapping can name it. What shapes cannot show (place of the stride, anti-aliasing) is left at its usual value.
std::optional<ResNetShape> read_resnet(const TensorIndex& tensors);

/// Sets input channels and classes to those of the tensors, where they say them.
void read_ends(const TensorIndex& tensors, ResNetShape& shape);

}  // namespace resnet::convert
