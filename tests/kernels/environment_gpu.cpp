#include <algorithm>
#include <thread>

#include "kernels/cuda_api.hpp"
#include "kernels/environment.hpp"

namespace resnet::test {
namespace {

int attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  cuda_api().cudaDeviceGetAttribute(&value, name, device);
  return value;
}

std::vector<DeviceInfo> find_devices() {
  int count = 0;
  if (cuda_api().cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return {};
  cudaDeviceProp properties;
  if (cuda_api().cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return {};
  DeviceInfo info;
  info.kind = DeviceKind::cuda, info.index = 0, info.name = properties.name;
  info.sm = 10 * properties.major + properties.minor, info.multiprocessors = properties.multiProcessorCount;
  info.memory_bytes = properties.totalGlobalMem, info.shared_bytes_per_block = properties.sharedMemPerBlockOptin;
  info.l2_bytes = static_cast<std::size_t>(properties.l2CacheSize);
  // Both edges of the clock, bits to bytes.
  info.memory_gb_per_s =
      2e-6 * attribute(cudaDevAttrMemoryClockRate, 0) / 8 * attribute(cudaDevAttrGlobalMemoryBusWidth, 0);
  // As if it had one multiprocessor: blocks of kernels that loop come round more than once.
  DeviceInfo slice = info;
  slice.name += " as one multiprocessor", slice.multiprocessors = 1;
  return {info, slice};
}

}  // namespace

Options default_options() {
  Options defaults;
  defaults.sizes = Sizes::full, defaults.random_problems = 500;
  return defaults;
}

std::span<const DeviceInfo> devices() {
  static const std::vector<DeviceInfo> list = find_devices();
  return list;
}

void use_device(const DeviceInfo& device) { cuda_api().cudaSetDevice(device.index); }
void use_schedule(int, bool) {}

std::vector<std::string> take_reports() {
  const cudaError_t error = cuda_api().cudaGetLastError();
  if (error == cudaSuccess) return {};
  return {cuda_api().cudaGetErrorString(error)};
}

void recover() { cuda_api().cudaGetLastError(); }  // a sticky error ends the process's CUDA

bool is_emulator() { return false; }
bool has_access_hooks() { return false; }
int host_threads() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

}  // namespace resnet::test
