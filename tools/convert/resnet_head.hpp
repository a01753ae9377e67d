#pragma once

#include <string>
#include <vector>

#include "convert/resnet_shape.hpp"
#include "convert/tensors.hpp"

namespace resnet::convert {

/// Why the tensors behind the pool are no classifier that can be converted as it is, and the way out.
struct HeadProblem {
  std::string message;  ///< empty when there is none
  std::string next;
};

/// Looks for a head of several dense layers, with a batch norm, or for none at all. A chain of dense layers is taken
/// when `relu` says what lies between them: they are renamed to "fc.0" ... and "fc", and `shape` gets them.
/// @param arch the name to answer behind, for the way out
HeadProblem read_head(bool relu, const std::string& arch, std::vector<SourceTensor>& tensors, ResNetShape& shape);

}  // namespace resnet::convert
