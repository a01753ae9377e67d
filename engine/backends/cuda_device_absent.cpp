#include <string>

#include "backends/cuda_device.hpp"
#include "base/check.hpp"

namespace resnet {

Support cuda_available(int) { return Support::no("this build has no CUDA backend"); }

std::shared_ptr<Backend> make_cuda_device(int device_index) {
  fail(ErrorCode::device_unavailable, cuda_available(device_index).reason,
       "device cuda:" + std::to_string(device_index), "use --device cpu");
}

}  // namespace resnet
