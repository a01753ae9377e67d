#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace resnet::test {

/// A network before validation: what build_graph() takes.
struct NetworkSpec {
  std::vector<LayerSpec> layers;
  std::string output;
  TensorTable tensors;  ///< shapes as in the model file: conv weights KRSC, dense weights (K, C), all f32
};

/// torchvision's names: resnet18 ... resnet152, resnext50_32x4d, resnext101_32x8d, resnext101_64x4d, wide_resnet50_2,
/// wide_resnet101_2.
std::span<const std::string_view> torchvision_resnets();

/// The layers of a torchvision ResNet, one layer per module call, tensors named as in its state dict. Repeated calls of
/// one ReLU get "_1", "_2" as torch.fx names them. Default input `size` x `size`.
/// @throws std::out_of_range for another name
NetworkSpec torchvision_resnet(std::string_view name, std::int64_t size = 224, std::int64_t classes = 1000);

/// Relatives with the blocks of a torchvision ResNet: what they add to a block.
enum class Relative : std::uint8_t {
  squeeze_excite,  ///< SE-ResNet: channels of a block scaled by what a sigmoid makes of their mean, before the residual
  pre_activation,  ///< ResNet v2: batch norm and ReLU before each convolution, nothing behind the residual
};
NetworkSpec resnet_relative(Relative relative, std::string_view name, std::int64_t size = 224,
                            std::int64_t classes = 1000);

}  // namespace resnet::test
