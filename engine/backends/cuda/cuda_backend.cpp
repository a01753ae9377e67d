#include "backends/cuda/cuda_backend.hpp"

#include <optional>
#include <string>

#include "backends/cuda/kernel_entries.hpp"
#include "backends/cuda/runtime.hpp"
#include "base/check.hpp"
#include "base/dtype.hpp"
#include "kernels/cuda_api.hpp"
#include "kernels/kernel.hpp"
#include "kernels/query_device.hpp"

namespace resnet {
namespace cuda {
namespace {

/// "13.0" of 13000.
std::string version_text(int version) {
  return std::to_string(version / 1000) + '.' + std::to_string(version % 1000 / 10);
}

Support no_devices(cudaError_t error) {
  const CudaApi& api = cuda_api();
  static_cast<void>(api.cudaGetLastError());
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0, runtime = 0;
    static_cast<void>(api.cudaDriverGetVersion(&driver));
    static_cast<void>(api.cudaRuntimeGetVersion(&runtime));
    static_cast<void>(api.cudaGetLastError());
    if (driver == 0) return Support::no("no NVIDIA driver is installed on this machine");
    return Support::no("the NVIDIA driver supports CUDA " + version_text(driver) + ", this build needs " +
                       version_text(runtime) + ": install a newer driver");
  }
  if (error == cudaErrorNoDevice)
    return Support::no("the NVIDIA driver shows no GPU to this process (CUDA_VISIBLE_DEVICES may hide them)");
  return Support::no(std::string("CUDA does not start: ") + api.cudaGetErrorName(error) + ", " +
                     api.cudaGetErrorString(error));
}

/// Ends the capture of a stream, whatever happens in between.
class Captured {
 public:
  explicit Captured(cudaStream_t stream) : stream_(stream) {}
  ~Captured() {
    if (!ended_) static_cast<void>(end());
    if (graph_) static_cast<void>(cuda_api().cudaGraphDestroy(graph_));
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  cudaError_t end() {
    ended_ = true;
    return cuda_api().cudaStreamEndCapture(stream_, &graph_);
  }
  cudaGraph_t graph() const { return graph_; }

 private:
  cudaStream_t stream_;
  cudaGraph_t graph_ = nullptr;
  bool ended_ = false;
};

/// What a call enqueued on a stream, as one launch.
class CudaGraph final : public Recording {
 public:
  template <class Enqueue>
  CudaGraph(int device, cudaStream_t stream, const Enqueue& enqueue) : device_(device), stream_(stream) {
    const CudaApi& api = cuda_api();
    // Only this thread's calls are captured; what other threads allocate meanwhile is theirs.
    check(api.cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing a CUDA graph", device);
    Captured captured(stream);
    enqueue();
    check(captured.end(), "capturing a CUDA graph", device);
    check(api.cudaGraphInstantiate(&executable_, captured.graph(), 0), "instantiating a CUDA graph", device);
  }
  ~CudaGraph() override { static_cast<void>(cuda_api().cudaGraphExecDestroy(executable_)); }
  void run() override { check(cuda_api().cudaGraphLaunch(executable_, stream_), "launching the network", device_); }

 private:
  int device_;
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

/// Weights are packed by the host.
DeviceInfo with_host_cores(DeviceInfo device) {
  device.cores = detect_cpu().cores;
  return device;
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const DeviceInfo& device)
      : device_(with_host_cores(device)),
        allocator_(device.index),
        stream_(device.index),
        semaphores_(allocator_.allocate(kernels::semaphore_count * sizeof(std::uint32_t))) {
    const DeviceScope scope(device_.index);
    check(cuda_api().cudaMemsetAsync(semaphores_->data(), 0, semaphores_->size(), stream_.get()),
          "clearing the semaphores", device_.index);
    check(cuda_api().cudaStreamSynchronize(stream_.get()), "waiting for the device", device_.index);
    target_ = {stream_.get(), reinterpret_cast<std::uint32_t*>(semaphores_->data())};
  }

  std::string_view name() const override { return "cuda"; }
  const DeviceInfo& device() const override { return device_; }
  DeviceAllocator& allocator() override { return allocator_; }
  std::span<const Implementation* const> implementations() const override { return kernel_entries(); }
  const Implementation* conversion() const override { return &cuda::conversion; }

  Support supports_precision(Precision precision) const override {
    return cuda_supports_precision(device_, device_text(device_.index), precision);
  }

  void begin_run(int) override {
    scope_.emplace(device_.index);
    run_target = &target_;
  }
  void end_run() override {
    run_target = nullptr;
    const cudaError_t error = cuda_api().cudaStreamSynchronize(stream_.get());
    scope_.reset();
    check(error, "running the network", device_.index);
  }
  void copy_to_device(std::byte* device, const std::byte* host, std::size_t bytes) override {
    check(cuda_api().cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_.get()), "copying the input",
          device_.index);
  }
  void copy_to_host(std::byte* host, const std::byte* device, std::size_t bytes) override {
    check(cuda_api().cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_.get()), "copying the output",
          device_.index);
  }
  void copy_on_device(std::byte* to, const std::byte* from, std::size_t bytes) override {
    check(cuda_api().cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_.get()), "copying on the device",
          device_.index);
  }
  bool records() const override { return true; }
  std::unique_ptr<Recording> record(std::span<const std::unique_ptr<Step>> steps) override {
    return std::make_unique<CudaGraph>(device_.index, stream_.get(), [&] {
      for (const auto& step : steps) step->run();
    });
  }
  std::vector<double> time_steps(std::span<const std::unique_ptr<Step>> steps) override {
    std::vector<Event> events;
    for (std::size_t s = 0; s <= steps.size(); ++s) events.emplace_back(device_.index);
    events[0].record(stream_.get());
    for (std::size_t s = 0; s < steps.size(); ++s) {
      steps[s]->run();
      events[s + 1].record(stream_.get());
    }
    events.back().wait();
    std::vector<double> times;
    for (std::size_t s = 0; s < steps.size(); ++s) times.push_back(events[s].us_until(events[s + 1]));
    return times;
  }

 private:
  DeviceInfo device_;
  CudaAllocator allocator_;
  Stream stream_;
  std::unique_ptr<DeviceBuffer> semaphores_;
  RunTarget target_;
  std::optional<DeviceScope> scope_;  ///< of a run
};

}  // namespace
}  // namespace cuda

Support cuda_backend_available(int index) {
  int count = 0;
  if (const cudaError_t error = cuda_api().cudaGetDeviceCount(&count); error != cudaSuccess)
    return cuda::no_devices(error);
  if (index < 0 || index >= count) {
    return Support::no("there is no device " + std::to_string(index) + ": this process sees " + std::to_string(count) +
                       (count == 1 ? " GPU" : " GPUs"));
  }
  DeviceInfo info;
  if (const cudaError_t error = kernels::query_device(index, info); error != cudaSuccess)
    return cuda::no_devices(error);
  constexpr int oldest = 75;
  if (info.sm < oldest) {
    return Support::no(info.name + " is sm_" + std::to_string(info.sm) + "; the kernels need sm_" +
                       std::to_string(oldest) + " (Turing) or newer");
  }
  return Support::yes();
}

std::vector<DeviceInfo> cuda_backend_devices() {
  const CudaApi& api = cuda_api();
  int count = 0, driver = 0, runtime = 0;
  if (api.cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  static_cast<void>(api.cudaDriverGetVersion(&driver));
  static_cast<void>(api.cudaRuntimeGetVersion(&runtime));
  std::vector<DeviceInfo> devices;
  for (int index = 0; index < count; ++index) {
    DeviceInfo info;
    if (kernels::query_device(index, info) != cudaSuccess) continue;
    info.software = "driver for CUDA " + cuda::version_text(driver) + ", runtime " + cuda::version_text(runtime);
    devices.push_back(info);
  }
  static_cast<void>(api.cudaGetLastError());
  return devices;
}

std::shared_ptr<Backend> make_cuda_backend(int index) {
  if (const Support available = cuda_backend_available(index); !available) {
    fail(ErrorCode::device_unavailable, available.reason, cuda::device_text(index),
         "use --device cpu, or auto to fall back");
  }
  DeviceInfo info;
  cuda::check(kernels::query_device(index, info), "asking for the device's properties", index);
  return std::make_shared<cuda::CudaBackend>(info);
}

}  // namespace resnet
