// The way into the library that travels, for fault_tests.cpp: it has the only CUDA runtime of the program.
#include "gpu/trap.hpp"
#include "kernels/cuda_api.hpp"

#define RESNET_DOOR extern "C" __attribute__((visibility("default")))

RESNET_DOOR const resnet::CudaApi* rne_door_built_in_cuda_api() { return &resnet::built_in_cuda_api(); }
RESNET_DOOR const resnet::CudaApi* rne_door_replace_cuda_api(const resnet::CudaApi* api) {
  return resnet::replace_cuda_api(api);
}
RESNET_DOOR cudaError_t rne_door_trap() { return resnet::test::trap(); }
