#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "backends/backend.hpp"
#include "kernels/kernel.hpp"

namespace resnet::cuda {

/// Where the steps of the run on this thread go. Set between begin_run() and end_run().
struct RunTarget {
  cudaStream_t stream = nullptr;
  std::uint32_t* semaphores = nullptr;  ///< kernels::semaphore_count zeros
};
extern thread_local const RunTarget* run_target;

/// The kernel problem of a step with one node.
kernels::Problem kernel_problem(const StepProblem& problem);
/// Index into StepProblem::inputs of the node's input number `input`.
std::size_t operand(const StepProblem& problem, std::size_t input);
/// Plain NHWC of that type.
ValueDesc plain_desc(const ValueDesc& from, DType dtype);
/// Values in the type of the precision; the output in the network's own, f32, where the kernel can change types.
StepDescs kernel_descs(const StepProblem& problem, const DeviceInfo& device);

/// What a packed filter depends on beside its packing: element type, shape, and the order of its columns.
std::string filter_text(const StepProblem& problem, DType dtype);

/// One entry per line of the kernels' catalog, in its order.
std::span<const Implementation* const> kernel_entries();
/// Backend::affine_conversion; null where the kernel does not take it.
std::unique_ptr<Step> make_affine_conversion(const ValueDesc& from, const ValueDesc& to, std::span<const float> scale,
                                             std::span<const float> shift, const DeviceInfo& device,
                                             DeviceAllocator& allocator);
/// Changes of type, layout and channel padding.
extern const Implementation conversion;

}  // namespace resnet::cuda
