#pragma once

#include <string>

#include "common/json.hpp"

namespace resnet::tools {

/// The memory plan as an SVG picture: steps from left to right, addresses upwards, a box for everything that lies in
/// the arena while it is needed, the lower bound as a line. Pointing at a box shows its name, bytes, offset and steps.
std::string memory_svg(const std::string& path, const Json& inspection);

}  // namespace resnet::tools
