#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "model/model_file.hpp"

namespace resnet::convert {

/// The preset for a network that was trained on pixels without a preprocessing of its own name: "raw255" where the
/// batch norms that it begins with map 0 ... 255 to numbers of a size that networks compute with, "raw01" where they
/// map 0 ... 1, or where there are none.
/// @param tensors f32, f16 or bf16, by the names that the layers give their weights
std::string raw_preset(const std::vector<LayerSpec>& layers, std::span<const TensorToWrite> tensors);

}  // namespace resnet::convert
