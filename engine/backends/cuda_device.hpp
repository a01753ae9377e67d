#pragma once

#include <memory>

#include "backends/backend.hpp"

namespace resnet {

/// What this build runs on the device "cuda". A build without the CUDA backend has cuda_device_absent.cpp.
Support cuda_available(int device_index);
/// @throws Error device_unavailable
std::shared_ptr<Backend> make_cuda_device(int device_index);

}  // namespace resnet
