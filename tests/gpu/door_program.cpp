// The program's side of door_library.cpp.
#include "gpu/trap.hpp"
#include "kernels/cuda_api.hpp"

extern "C" {
const resnet::CudaApi* rne_door_built_in_cuda_api();
const resnet::CudaApi* rne_door_replace_cuda_api(const resnet::CudaApi* api);
cudaError_t rne_door_trap();
}

namespace resnet {

const CudaApi& built_in_cuda_api() { return *rne_door_built_in_cuda_api(); }
const CudaApi* replace_cuda_api(const CudaApi* api) { return rne_door_replace_cuda_api(api); }
cudaError_t test::trap() { return rne_door_trap(); }

}  // namespace resnet
