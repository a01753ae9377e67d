#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "resnet_engine/image.hpp"

namespace resnet {

/// The float32 value of every byte, per channel of the network's input (after channel_order has been applied):
/// ((float)(x * scale) - (float)mean[c]) / (float)std[c], each step rounded to float32, as torchvision's ToTensor and
/// Normalize compute it.
using NormalizeTable = std::vector<std::array<float, 256>>;
NormalizeTable make_normalize_table(const Preprocess& preprocess);

/// The picture channel that becomes channel `c` of the tensor.
std::int64_t source_channel(const Preprocess& preprocess, std::int64_t c);

}  // namespace resnet
