#include <algorithm>
#include <iostream>
#include <string>
#include <thread>

#include "kernels/cuda_api.hpp"
#include "kernels/environment.hpp"
#include "kernels/query_device.hpp"

namespace resnet::test {
namespace {

/// Says what CUDA answered: a driver that is too old is told apart from a missing GPU.
void complain(const char* call, cudaError_t error) {
  int driver = 0, runtime = 0;
  static_cast<void>(cuda_api().cudaDriverGetVersion(&driver));
  static_cast<void>(cuda_api().cudaRuntimeGetVersion(&runtime));
  const auto version = [](int number) {
    return std::to_string(number / 1000) + '.' + std::to_string(number % 1000 / 10);
  };
  std::cerr << call << ": " << cuda_api().cudaGetErrorString(error) << " (error " << error << "); "
            << (driver == 0 ? "no driver is installed" : "the driver is for CUDA " + version(driver))
            << ", this program for CUDA " << version(runtime) << '\n';
}

std::vector<DeviceInfo> find_devices() {
  int count = 0;
  cudaError_t error = cuda_api().cudaGetDeviceCount(&count);
  if (error != cudaSuccess) complain("cudaGetDeviceCount", error);
  if (error != cudaSuccess || count == 0) return {};
  DeviceInfo info;
  error = kernels::query_device(0, info);
  if (error != cudaSuccess) {
    complain("reading the properties of device 0", error);
    return {};
  }
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

bool recover() {
  static_cast<void>(cuda_api().cudaGetLastError());
  return cuda_api().cudaDeviceSynchronize() == cudaSuccess;
}

bool is_emulator() { return false; }
bool has_access_hooks() { return false; }
int host_threads() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

}  // namespace resnet::test
