#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/resnet_shape.hpp"

namespace resnet::convert {

/// A network that has a name in torchvision or timm.
struct KnownNet {
  std::string_view name;
  ResNetShape shape;
  std::int64_t parameters;  ///< as torchvision publishes them, with 1000 classes; -1 for timm's
};

/// The ten ResNets of torchvision, then those of timm.
std::span<const KnownNet> known_nets();
/// The ten only.
std::span<const KnownNet> torchvision_nets();

/// Whether a name is timm's for a net whose channels were pruned ("ecaresnet50d_pruned.miil_in1k"): its widths are
/// those of its tensors, all else is as the name without "_pruned" says, for which the functions below take it.
bool is_pruned(std::string_view name);

/// By name; a training tag is left out ("resnet50d.ra2_in1k") and names of older timm versions are understood
/// ("gluon_resnet50_v1d", "tv_resnet50"). Null when there is none.
const KnownNet* find_known_net(std::string_view name);
const KnownNet* find_torchvision_net(std::string_view name);

/// The arguments behind a name, to be changed by a configuration's model_args.
std::optional<ResNetArgs> arguments_of(std::string_view name);

/// Why networks of that name cannot be converted ("GroupNorm"), or nothing.
std::string_view refusal_of(std::string_view name);

/// The name of a net that differs at most in input channels, classes and input size, or an empty one.
std::string_view name_of(const ResNetShape& shape);

/// torchvision's number of parameters, corrected for other channels and classes, or -1.
std::int64_t expected_parameters(const ResNetShape& shape);

}  // namespace resnet::convert
