#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/device_info.hpp"
#include "base/problem.hpp"
#include "base/support.hpp"

/// The hand-written CUDA kernels. Activations are NHWC, filters KRSC, accumulation is fp32.
namespace resnet::kernels {

/// Everything a kernel can be asked for; one alternative per kind of work (base/problem.hpp).
using Problem = std::variant<ConvProblem, DenseProblem, PoolProblem, AdaptivePoolProblem, PointwiseProblem, PadProblem,
                             SoftmaxProblem, TopKProblem, ConvertProblem, PoolDenseProblem>;

/// "conv 1x56x56x64 -> 1x56x56x64, 3x3, bf16": for messages and test names.
std::string to_string(const Problem& problem);

/// Device addresses of one launch; null where the problem has no such operand. All of them are at least aligned to
/// their element; 16 bytes let a kernel use vectors (a kernel that demands them says cudaErrorMisalignedAddress).
struct Operands {
  const void* x = nullptr;
  const void* second = nullptr;  ///< second operand of a pointwise problem, or the epilogue's residual (output's type)
  const void* weight = nullptr;  ///< as packed by the kernel's WeightPack
  const float* scale = nullptr;  ///< [K]
  const float* shift = nullptr;  ///< [K]
  void* y = nullptr;             ///< may be `second` itself where that is the residual, and overlaps nothing else
  void* indices = nullptr;       ///< top-k: int32
  void* workspace = nullptr;     ///< workspace_bytes(), 256-byte aligned, any content
  std::uint32_t* semaphores = nullptr;  ///< semaphore_count words that are 0 before and after every launch
};

/// Words of Operands::semaphores. One array per stream.
constexpr int semaphore_count = 4096;

/// Where a launch goes: it enqueues work and returns.
struct LaunchTarget {
  cudaStream_t stream = nullptr;
  const DeviceInfo* device = nullptr;
};

/// How a kernel wants its filters. Entries with the same format and bytes share one copy.
struct WeightPack {
  std::string_view format = "none";
  std::size_t (*bytes)(const Problem&) = nullptr;
  /// From the file's float values ([K,R,S,C/groups] or [K,C]) into bytes(). Runs on the host.
  void (*pack)(const Problem&, std::span<const float> values, std::byte* out) = nullptr;
};

/// Where a kernel multiplies. The matrix unit adds in an order and with roundings of its own.
enum class Unit { cuda_cores, matrix };

/// Index of a kind of problem among Problem's alternatives.
template <class P>
inline constexpr std::size_t problem_kind = Problem(P()).index();

/// One line of the catalog. All functions but launch are pure; all are thread-safe.
struct Kernel {
  std::string_view name;
  std::size_t kind = 0;  ///< index into Problem's alternatives
  /// Whether it takes the problem on that device, and why not. Never throws.
  Support (*supports)(const Problem&, const DeviceInfo&) = nullptr;
  /// Paper model of its time (kernels/estimate.hpp). Only for what it supports, like the rest.
  double (*estimate_us)(const Problem&, const DeviceInfo&) = nullptr;
  std::size_t (*workspace_bytes)(const Problem&, const DeviceInfo&) = nullptr;
  /// Enqueues the work. A problem that supports() refuses gives cudaErrorNotSupported, a missing operand
  /// cudaErrorInvalidValue, one that is not aligned to its element cudaErrorMisalignedAddress, and nothing is launched.
  cudaError_t (*launch)(const Problem&, const Operands&, const LaunchTarget&) = nullptr;
  WeightPack weights;
  Unit unit = Unit::cuda_cores;
};

/// The ordered list (catalog.cpp): order is priority among equal estimates, entries that take everything come last.
std::span<const Kernel* const> catalog();
/// By name, or null.
const Kernel* find_kernel(std::string_view name);
/// The supported entry with the smallest estimate, or null.
const Kernel* select_kernel(const Problem& problem, const DeviceInfo& device);

/// Whether the sizes make sense at all: none below 1, no negative pad, groups that divide the channels.
Support check_sizes(const Problem& problem);
/// cudaErrorInvalidValue for a missing operand, cudaErrorMisalignedAddress for one that is not aligned to its element.
cudaError_t check_operands(const Problem& problem, const Operands& operands);

/// A kernel from functions of one kind of problem. The wrappers refuse other kinds, sizes without sense, every launch
/// that supports() refuses, and missing operands and those that are not aligned to their element.
template <class P, Support (*supports_)(const P&, const DeviceInfo&), double (*estimate_)(const P&, const DeviceInfo&),
          std::size_t (*workspace_)(const P&, const DeviceInfo&),
          cudaError_t (*launch_)(const P&, const Operands&, const LaunchTarget&)>
constexpr Kernel make_kernel(std::string_view name, WeightPack weights = {}, Unit unit = Unit::cuda_cores) {
  Kernel kernel;
  kernel.name = name;
  kernel.kind = problem_kind<P>;
  kernel.supports = [](const Problem& problem, const DeviceInfo& device) {
    const P* const own = std::get_if<P>(&problem);
    if (!own) return Support::no("another kind of problem");
    if (Support sizes = check_sizes(problem); !sizes) return sizes;
    return supports_(*own, device);
  };
  kernel.estimate_us = [](const Problem& problem, const DeviceInfo& device) {
    return estimate_(std::get<P>(problem), device);
  };
  kernel.workspace_bytes = [](const Problem& problem, const DeviceInfo& device) {
    return workspace_(std::get<P>(problem), device);
  };
  kernel.launch = [](const Problem& problem, const Operands& operands, const LaunchTarget& target) {
    const P* const own = std::get_if<P>(&problem);
    if (!target.device) return cudaErrorInvalidValue;
    if (!own || !check_sizes(problem) || !supports_(*own, *target.device)) return cudaErrorNotSupported;
    if (const cudaError_t error = check_operands(problem, operands); error != cudaSuccess) return error;
    return launch_(*own, operands, target);
  };
  kernel.weights = weights;
  kernel.unit = unit;
  return kernel;
}

/// For kernels without scratch memory.
template <class P>
std::size_t no_workspace(const P&, const DeviceInfo&) {
  return 0;
}

}  // namespace resnet::kernels
