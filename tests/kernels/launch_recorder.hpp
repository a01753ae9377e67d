#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <vector>

#include "kernels/kernel.hpp"

namespace resnet::test {

struct RecordedLaunch {
  std::string name;
  cudaLaunchConfig_t config;
};

/// What a launch of `kernel` enqueues on `device`. Nothing runs, and no operand exists.
std::vector<RecordedLaunch> record_launches(const kernels::Kernel& kernel, const kernels::Problem& problem,
                                            const DeviceInfo& device);

}  // namespace resnet::test
