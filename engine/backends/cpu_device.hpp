#pragma once

#include <memory>

#include "backends/backend.hpp"

namespace resnet {

/// What this build runs on the device "cpu". The build picks one of cpu_device_onednn.cpp and cpu_device_reference.cpp.
std::shared_ptr<Backend> make_cpu_device();

}  // namespace resnet
