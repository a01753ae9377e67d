#include "kernels/query_device.hpp"

#include "kernels/cuda_api.hpp"

namespace resnet::kernels {

cudaError_t query_device(int index, DeviceInfo& info) {
  const CudaApi& api = cuda_api();
  cudaDeviceProp properties = {};
  int clock_khz = 0, bus_bits = 0;
  cudaError_t error = api.cudaGetDeviceProperties(&properties, index);
  if (error == cudaSuccess) error = api.cudaDeviceGetAttribute(&clock_khz, cudaDevAttrMemoryClockRate, index);
  if (error == cudaSuccess) error = api.cudaDeviceGetAttribute(&bus_bits, cudaDevAttrGlobalMemoryBusWidth, index);
  if (error != cudaSuccess) return error;
  info = {};
  info.kind = DeviceKind::cuda;
  info.index = index;
  info.name = properties.name;
  info.sm = properties.major * 10 + properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory_bytes = properties.totalGlobalMem;
  info.shared_bytes_per_block = properties.sharedMemPerBlockOptin;
  info.l2_bytes = static_cast<std::size_t>(properties.l2CacheSize);
  // Both edges of the clock, bits to bytes.
  info.memory_gb_per_s = 2e-6 * clock_khz * bus_bits / 8;
  return cudaSuccess;
}

}  // namespace resnet::kernels
