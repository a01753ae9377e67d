#pragma once

#include <array>
#include <string>
#include <vector>

#include "kernels/environment.hpp"
#include "kernels/host_data.hpp"
#include "kernels/oracle.hpp"

namespace resnet::test {

/// One launch with everything around it that can go wrong under watch.
struct RunOptions {
  int run = 0;  ///< number of the run: decides about schedule and the bytes that outputs start with
  bool truncating_mma = false;
  bool residual_in_place = false;  ///< y is the residual itself
  /// Bytes by which operands miss their alignment.
  struct Offsets {
    std::size_t x = 0, second = 0, weight = 0, scale = 0, shift = 0, y = 0, workspace = 0;
  } offsets;
  /// Operand that is left out: "x", "second", "weight", "scale", "shift", "y", "indices", "workspace", "semaphores".
  std::string missing;
};

struct RunResult {
  cudaError_t error = cudaSuccess;  ///< of the launch
  std::vector<std::byte> y;
  std::vector<std::int32_t> indices;
  bool matrix_unit = false;         ///< whether the kernel multiplies there: decides about its limit of error
  bool untouched = false;           ///< y still holds what it held before
  std::vector<std::string> faults;  ///< canaries, changed inputs, semaphores, reports of the emulator, late errors
};

RunResult run_kernel(const kernels::Kernel& kernel, const kernels::Problem& problem, const DeviceInfo& device,
                     const HostData& data, const RunOptions& options = {});

/// Empty where `result` is right. Else where it is wrong: "87 of 512 elements, the first at (n,p,q,k) = (0,1,2,3):
/// expected 12, got 13".
std::string judge(const kernels::Problem& problem, DataKind kind, const ExactResult& exact, const RunResult& result);
/// The same against several references, of which one must fit.
std::string judge(const kernels::Problem& problem, DataKind kind, const std::vector<ExactResult>& references,
                  const RunResult& result);
/// Where NaN or infinity went in: they must be where a reference has them, and the rest right as real numbers are.
std::string judge_special(const kernels::Problem& problem, const std::vector<ExactResult>& references,
                          const RunResult& result);

/// What a kernel may compute: the definition, and for tf32 also that of the rounded operands.
std::vector<ExactResult> references_of(const kernels::Problem& problem, DataKind kind, const HostData& data);

/// "conv_direct: conv 1x7x5x3 -> ..., signed integers, sm_90, seed 1"
std::string case_text(const kernels::Kernel& kernel, const kernels::Problem& problem, DataKind kind,
                      const DeviceInfo& device);

}  // namespace resnet::test
