#pragma once

#include <string>

#include "base/device_info.hpp"

namespace resnet {

/// A GPU that is not there, from "sm_90,132" or "sm_90,132,3350": architecture, multiprocessors, GB/s of its memory.
/// Without the last, the bandwidth of the architecture's reference board in proportion to the multiprocessors.
/// @throws Error invalid_argument that says what was expected
DeviceInfo parse_device_info(const std::string& text);

}  // namespace resnet
