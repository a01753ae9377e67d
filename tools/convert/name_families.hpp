#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "convert/key_map.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

inline constexpr std::string_view hugging_face_family = "Hugging Face", timm_v2_family = "timm ResNetV2";

/// How a file's names were read.
struct Naming {
  std::string family;  ///< for people: "Hugging Face"; empty for torchvision's and timm's own names
  /// The first SENets (legacy_seresnet50 ...): their names tell what their shapes do not.
  bool first_senet = false;
  std::size_t canonical = 0;  ///< tensors that have a canonical name now

  /// The name that the file would have for a canonical one: for messages on missing tensors.
  std::string in_source(const std::string& canonical_key) const;
  KeyMap inner, stage;  ///< canonical to source, to be applied in this order
  std::string prefix;   ///< "backbone.", in front of most names of the file
};

/// State of PyTorch's batch norm that no layer reads.
bool is_training_state(std::string_view name);

/// Renames tensors to the canonical names (recognise_resnet.hpp) by the family of names that makes most of them
/// canonical; other names stay. Weights that are 1x1 convolutions where the canonical layer is dense become matrices.
/// SourceTensor::key keeps the name in the file.
Naming name_canonically(std::vector<SourceTensor>& tensors);

}  // namespace resnet::convert
