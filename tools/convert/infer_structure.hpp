#pragma once

#include <optional>
#include <string>
#include <vector>

#include "convert/tensors.hpp"

namespace resnet::convert {

/// What order and shapes say about tensors with unknown names.
struct Inferred {
  std::vector<SourceTensor> tensors;  ///< under canonical names (recognise_resnet.hpp)
  std::string why;                    ///< the reasoning, for the report
};

/// Reads convolutions, batch norms and the head in the order of the file as a stem, residual blocks and a classifier.
/// Taken only when exactly one ResNet has these tensors in this order. Linear in their number.
/// @param deep_stem whether the stem has three convolutions, where the user said so
/// @param why_not gets the reason when there is none or more than one
std::optional<Inferred> infer_structure(const std::vector<SourceTensor>& tensors, std::optional<bool> deep_stem,
                                        std::string& why_not);

}  // namespace resnet::convert
