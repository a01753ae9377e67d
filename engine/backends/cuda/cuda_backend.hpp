#pragma once

#include <memory>
#include <string>
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

/// What the same kernels would do on a GPU that is not there: for make_plan() alone, no CUDA call is made.
/// @throws Error unsupported in a build without them
std::shared_ptr<Backend> make_cuda_planner(const DeviceInfo& device);

/// `device_name` is for the message: "cuda:0".
Support cuda_supports_precision(const DeviceInfo& device, const std::string& device_name, Precision precision);

}  // namespace resnet
