#pragma once

#include <cuda_runtime_api.h>

#include "base/device_info.hpp"

namespace resnet::kernels {

/// What selection may know of CUDA device `index`, as the CUDA calls tell it; l2_bytes is the whole
/// device's. `info` is untouched on an error.
cudaError_t query_device(int index, DeviceInfo& info);

}  // namespace resnet::kernels
