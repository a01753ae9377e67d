#include "backends/cuda/cuda_backend.hpp"
#include "base/check.hpp"

namespace resnet {

Support cuda_backend_available(int) {
  return Support::no("this build has no CUDA backend: it was configured without the CUDA toolkit (preset cuda)");
}

std::vector<DeviceInfo> cuda_backend_devices() { return {}; }

std::shared_ptr<Backend> make_cuda_backend(int index) {
  fail(ErrorCode::device_unavailable, cuda_backend_available(index).reason, "device cuda:" + std::to_string(index),
       "use --device cpu");
}

std::shared_ptr<Backend> make_cuda_planner(const DeviceInfo&) {
  fail(ErrorCode::unsupported, "this build has no CUDA kernels to plan with", "device_info",
       "build it with the CUDA toolkit (preset cuda); a GPU is not needed");
}

}  // namespace resnet
