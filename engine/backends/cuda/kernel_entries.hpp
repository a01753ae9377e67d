#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>

#include "backends/backend.hpp"

namespace resnet::cuda {

/// Where the steps of the run on this thread go. Set between begin_run() and end_run().
struct RunTarget {
  cudaStream_t stream = nullptr;
  std::uint32_t* semaphores = nullptr;  ///< kernels::semaphore_count zeros
};
extern thread_local const RunTarget* run_target;

/// One entry per line of the kernels' catalog, in its order.
std::span<const Implementation* const> kernel_entries();
/// Changes of type, layout and channel padding.
extern const Implementation conversion;

}  // namespace resnet::cuda
