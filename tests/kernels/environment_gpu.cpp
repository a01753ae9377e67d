#include <algorithm>
#include <thread>

#include "kernels/cuda_api.hpp"
#include "kernels/environment.hpp"
#include "kernels/query_device.hpp"

namespace resnet::test {
namespace {

std::vector<DeviceInfo> find_devices() {
  int count = 0;
  if (cuda_api().cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return {};
  DeviceInfo info;
  if (kernels::query_device(0, info) != cudaSuccess) return {};
  // As if it had one multiprocessor: blocks of kernels that loop come round more than once.
  DeviceInfo slice = info;
  slice.name += " as one multiprocessor", slice.multiprocessors = 1;
  return {info, slice};
}

}  // namespace

Options default_options() {
  Options defaults;
  defaults.sizes = Sizes::full;
  return defaults;
}

std::span<const DeviceInfo> devices() {
  static const std::vector<DeviceInfo> list = find_devices();
  return list;
}

void use_device(const DeviceInfo& device) { cuda_api().cudaSetDevice(device.index); }
void use_schedule(int, bool) {}
void use_block_sample(unsigned) {}

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
