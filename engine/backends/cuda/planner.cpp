// A backend for a GPU that is not there: it answers, and runs nothing.
#include "backends/cuda/cuda_backend.hpp"
#include "backends/cuda/cuda_entries.hpp"
#include "backends/cuda/kernel_entries.hpp"
#include "backends/cuda/runtime.hpp"
#include "base/check.hpp"
#include "base/dtype.hpp"
#include "kernels/compiled_for.hpp"

namespace resnet {
namespace cuda {
namespace {

[[noreturn]] void refuse() {
  fail(ErrorCode::internal, "nothing runs on a device that is only planned for", "planner");
}

class NoMemory final : public DeviceAllocator {
 public:
  std::string key() const override { return "planned"; }
  bool host_visible() const noexcept override { return false; }
  std::unique_ptr<DeviceBuffer> allocate(std::size_t) override { refuse(); }
  void upload(std::byte*, const std::byte*, std::size_t) override { refuse(); }
};

class Planner final : public Backend {
 public:
  explicit Planner(const DeviceInfo& device) : device_(device) {
    device_.cudnn = device_.cublaslt = {0, "a library's plan is made on the device itself"};
  }

  std::string_view name() const override { return "cuda"; }
  const DeviceInfo& device() const override { return device_; }
  DeviceAllocator& allocator() override { return allocator_; }
  std::span<const Implementation* const> implementations() const override { return cuda_entries(); }
  const Implementation* conversion() const override { return &cuda::conversion; }
  Support supports_precision(Precision precision) const override {
    return cuda_supports_precision(device_, "the GPU", precision);
  }
  void begin_run(int, const CallerStream*) override { refuse(); }
  void end_run() override { refuse(); }

 private:
  DeviceInfo device_;
  NoMemory allocator_;
};

}  // namespace
}  // namespace cuda

Support cuda_supports_precision(const DeviceInfo& device, const std::string& device_name, Precision precision) {
  if (precision == Precision::int8 || precision == Precision::fp8)
    return Support::no(std::string(to_string(precision)) + " is not implemented on cuda; use fp16 or bf16");
  if (const int oldest = kernels::oldest_sm_of(precision); device.sm < oldest) {
    return Support::no(std::string(to_string(precision)) + " needs sm_" + std::to_string(oldest) + ", " + device_name +
                       " (" + device.name + ") is sm_" + std::to_string(device.sm) + "; use fp16 or fp32");
  }
  return Support::yes();
}

std::shared_ptr<Backend> make_cuda_planner(const DeviceInfo& device) { return std::make_shared<cuda::Planner>(device); }

}  // namespace resnet
