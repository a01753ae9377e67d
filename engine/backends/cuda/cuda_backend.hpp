#pragma once

#include <memory>
#include <vector>

#include "backends/backend.hpp"

namespace resnet {

/// Whether this process can use CUDA device `index`, and why not.
Support cuda_backend_available(int index);

/// The GPUs that this process sees, without starting work on them.
std::vector<DeviceInfo> cuda_backend_devices();

/// The hand-written kernels on one GPU, with a stream of its own.
/// @throws Error device_unavailable, out_of_memory, device_failed
std::shared_ptr<Backend> make_cuda_backend(int index);

}  // namespace resnet
