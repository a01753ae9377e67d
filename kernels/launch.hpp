#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda_api.hpp"
#include "kernels/device/epilogue.hpp"
#include "kernels/kernel.hpp"

/// What launchers share.
namespace resnet::kernels {

struct LaunchShape {
  unsigned blocks_x = 1, blocks_y = 1, blocks_z = 1;
  unsigned threads = 128;
  std::size_t shared_bytes = 0;
};

/// Enqueues `kernel(params)`. `name` is a string literal.
template <class Params>
cudaError_t launch_kernel(const char* name, void (*kernel)(Params), const LaunchShape& shape, cudaStream_t stream,
                          Params params) {
  constexpr std::size_t shared_bytes_without_asking = 48 * 1024;
  KernelHandle handle;
  handle.function = reinterpret_cast<const void*>(kernel);
  handle.invoke = [](const void* function, void* const* arguments) {
    reinterpret_cast<void (*)(Params)>(const_cast<void*>(function))(*static_cast<const Params*>(arguments[0]));
  };
  handle.name = name;
  if (shape.shared_bytes > shared_bytes_without_asking) {
    const cudaError_t error = cuda_api().set_max_dynamic_shared_bytes(handle, static_cast<int>(shape.shared_bytes));
    if (error != cudaSuccess) return error;
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = {shape.blocks_x, shape.blocks_y, shape.blocks_z};
  config.blockDim = {shape.threads, 1, 1};
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  void* arguments[] = {&params};
  return cuda_api().launch_kernel(config, handle, arguments);
}

inline bool is_aligned(const void* address, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(address) % bytes == 0;
}

/// The epilogue as a launch parameter. `second` is the residual.
inline dev::Epilogue make_epilogue(const EpilogueProblem& problem, DType out, const Operands& operands) {
  dev::Epilogue epilogue;
  epilogue.scale = problem.scale ? operands.scale : nullptr;
  epilogue.shift = problem.shift ? operands.shift : nullptr;
  epilogue.residual = problem.residual ? operands.second : nullptr;
  epilogue.y = operands.y;
  epilogue.res_scale = problem.res_scale;
  epilogue.out_scale = problem.out_scale;
  epilogue.zero_point = static_cast<float>(problem.zero_point);
  epilogue.alpha = problem.activation.alpha;
  epilogue.beta = problem.activation.beta;
  epilogue.activation = problem.activation.kind;
  epilogue.out = out;
  epilogue.vectors = is_aligned(operands.y, 16) && (!epilogue.residual || is_aligned(epilogue.residual, 16));
  return epilogue;
}

/// cudaErrorInvalidValue where the epilogue misses an operand.
inline cudaError_t check_epilogue(const EpilogueProblem& problem, const Operands& operands) {
  if (!operands.y || (problem.scale && !operands.scale) || (problem.shift && !operands.shift) ||
      (problem.residual && !operands.second)) {
    return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}

}  // namespace resnet::kernels
