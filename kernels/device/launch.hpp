#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/cuda_api.hpp"

namespace resnet::dev {

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
  handle.argument_bytes = sizeof(Params);
  handle.name = name;
  if (shape.shared_bytes > shared_bytes_without_asking) {
    // The limit belongs to the function and is shared by all threads of the process: everybody sets the same, the most.
    int device = 0, most = 0;
    cudaError_t error = cuda_api().cudaGetDevice(&device);
    if (error == cudaSuccess)
      error = cuda_api().cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    if (error == cudaSuccess) error = cuda_api().set_max_dynamic_shared_bytes(handle, most);
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

}  // namespace resnet::dev
