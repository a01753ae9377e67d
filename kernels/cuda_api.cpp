#include "kernels/cuda_api.hpp"

#include <atomic>

namespace resnet {
namespace {

std::atomic<const CudaApi*> replacement{nullptr};

}  // namespace

const CudaApi& cuda_api() {
  const CudaApi* const api = replacement.load(std::memory_order_acquire);
  return api ? *api : built_in_cuda_api();
}

const CudaApi* replace_cuda_api(const CudaApi* api) {
  const CudaApi& before = cuda_api();
  replacement.store(api, std::memory_order_release);
  return &before;
}

}  // namespace resnet
