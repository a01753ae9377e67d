#include "kernels/launch_recorder.hpp"

#include "kernels/cuda_api.hpp"
#include "kernels/device_buffer.hpp"

namespace resnet::test {
namespace {

class Recorder {
 public:
  Recorder() {
    launches.clear();
    api_.launch_kernel = [](const cudaLaunchConfig_t& config, const KernelHandle& kernel, void**) {
      launches.push_back({kernel.name, config});
      return cudaSuccess;
    };
    api_.set_max_dynamic_shared_bytes = [](const KernelHandle&, int) { return cudaSuccess; };
    api_.cudaMemsetAsync = [](void*, int, std::size_t, cudaStream_t) { return cudaSuccess; };
    before_ = replace_cuda_api(&api_);
  }
  ~Recorder() { replace_cuda_api(before_); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  static inline std::vector<RecordedLaunch> launches;

 private:
  CudaApi api_ = cuda_api();
  const CudaApi* before_ = nullptr;
};

}  // namespace

std::vector<RecordedLaunch> record_launches(const kernels::Kernel& kernel, const kernels::Problem& problem,
                                            const DeviceInfo& device) {
  const Recorder recorder;
  // Nothing runs, so any aligned address will do.
  void* const anywhere = reinterpret_cast<void*>(std::uintptr_t{1} << 20);
  kernels::Operands operands;
  operands.x = operands.second = operands.weight = anywhere;
  operands.scale = operands.shift = static_cast<const float*>(anywhere);
  operands.y = operands.indices = operands.workspace = anywhere;
  operands.semaphores = static_cast<std::uint32_t*>(anywhere);
  expect_success(kernel.launch(problem, operands, {nullptr, &device}), "launch");
  return Recorder::launches;
}

}  // namespace resnet::test
