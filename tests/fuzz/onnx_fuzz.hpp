#pragma once

#include <cstddef>
#include <vector>

namespace resnet::convert::fuzz {

/// Reads an ONNX file, every weight of it, and builds the graph that it describes. True when accepted, false when
/// refused by an Error; any other way out is a bug.
bool read_onnx(std::vector<std::byte> bytes);

}  // namespace resnet::convert::fuzz
