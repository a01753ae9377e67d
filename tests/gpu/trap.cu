// A kernel that stops with a trap.
#include "gpu/trap.hpp"
#include "kernels/cuda_api.hpp"
#include "kernels/device/compiler.hpp"
#include "kernels/device/launch.hpp"
#include "kernels/device/memory.hpp"

namespace resnet::test {
namespace {

// Budget: trap_kernel 32 registers

struct Params {
  int unused = 0;
};

RESNET_KERNEL(32, 1)
trap_kernel(RESNET_PARAMS(Params)) { dev::trap("a test asked for it"); }

}  // namespace

cudaError_t trap() {
  dev::LaunchShape shape;
  shape.threads = 32;
  const cudaError_t error = dev::launch_kernel("trap", trap_kernel, shape, nullptr, Params());
  return error != cudaSuccess ? error : cuda_api().cudaDeviceSynchronize();
}

}  // namespace resnet::test
