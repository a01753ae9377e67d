#include "backends/cuda/cuda_backend.hpp"

#include <optional>
#include <string>
#include <utility>

#include "backends/cuda/cuda_entries.hpp"
#include "backends/cuda/kernel_entries.hpp"
#include "backends/cuda/libraries.hpp"
#include "backends/cuda/library_session.hpp"
#include "backends/cuda/runtime.hpp"
#include "base/check.hpp"
#include "base/dtype.hpp"
#include "kernels/compiled_for.hpp"
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

/// A copy between the arena and a caller, from either side.
cudaError_t enqueue_copy(std::byte* to, const std::byte* from, std::size_t bytes, cudaMemcpyKind kind) {
  return cuda_api().cudaMemcpyAsync(to, from, bytes, kind, run_target->stream);
}

/// A sequence as one launch.
class CudaGraph final : public Recording {
 public:
  CudaGraph(int device, const RunSequence& sequence, const std::byte* source, std::byte* target) : device_(device) {
    const CudaApi& api = cuda_api();
    const cudaStream_t stream = run_target->stream;
    // Only this thread's calls are captured; what other threads allocate meanwhile is theirs.
    check(api.cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing a CUDA graph", device);
    Captured captured(stream);
    if (sequence.input) {
      const bool from_host = sequence.input->memory == MemoryKind::host;
      in_ = capture_copy(sequence.input->arena, source, sequence.input->bytes,
                         from_host ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToDevice);
    }
    for (Step* const step : sequence.steps) step->run();
    if (sequence.output) {
      const bool to_host = sequence.output->memory == MemoryKind::host;
      out_ = capture_copy(target, sequence.output->arena, sequence.output->bytes,
                          to_host ? cudaMemcpyDeviceToHost : cudaMemcpyDeviceToDevice);
    }
    check(captured.end(), "capturing a CUDA graph", device);
    check(api.cudaGraphInstantiate(&executable_, captured.graph(), 0), "instantiating a CUDA graph", device);
    const cudaError_t uploaded = api.cudaGraphUpload(executable_, stream);
    if (uploaded != cudaSuccess) destroy();
    check(uploaded, "bringing a CUDA graph to the device", device);
  }
  ~CudaGraph() override { destroy(); }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  void run(const std::byte* source, std::byte* target) override {
    if (in_.node && source != in_.from) set_copy(in_, in_.to, source);
    if (out_.node && target != out_.to) set_copy(out_, target, out_.from);
    check(cuda_api().cudaGraphLaunch(executable_, run_target->stream), "launching the network", device_);
  }

 private:
  struct Copy {
    cudaGraphNode_t node = nullptr;
    std::byte* to = nullptr;
    const std::byte* from = nullptr;
    std::size_t bytes = 0;
    cudaMemcpyKind kind = cudaMemcpyDefault;
  };

  Copy capture_copy(std::byte* to, const std::byte* from, std::size_t bytes, cudaMemcpyKind kind) const {
    Copy copy{nullptr, to, from, bytes, kind};
    check(enqueue_copy(to, from, bytes, kind), "capturing a copy", device_);
    check(cuda_api().last_captured_node(run_target->stream, &copy.node), "capturing a copy", device_);
    return copy;
  }
  void set_copy(Copy& copy, std::byte* to, const std::byte* from) const {
    check(cuda_api().cudaGraphExecMemcpyNodeSetParams1D(executable_, copy.node, to, from, copy.bytes, copy.kind),
          "giving the network another tensor", device_);
    copy.to = to, copy.from = from;
  }
  void destroy() {
    if (same_process()) static_cast<void>(cuda_api().cudaGraphExecDestroy(executable_));
  }

  int device_;
  cudaGraphExec_t executable_ = nullptr;
  Copy in_, out_;
};

/// Weights are packed by the host; libraries are loaded by the process.
DeviceInfo with_process_facts(DeviceInfo device) {
  device.cores = detect_cpu().cores;
  describe_libraries(device);
  return device;
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const DeviceInfo& device)
      : device_(with_process_facts(device)),
        allocator_(device.index),
        stream_(device.index),
        enqueued_(device.index, cudaEventDisableTiming),
        semaphores_(allocator_.allocate(kernels::semaphore_count * sizeof(std::uint32_t))) {
    const DeviceScope scope(device_.index);
    check(cuda_api().cudaMemsetAsync(semaphores_->data(), 0, semaphores_->size(), stream_.get()),
          "clearing the semaphores", device_.index);
    check(cuda_api().cudaStreamSynchronize(stream_.get()), "waiting for the device", device_.index);
    target_.semaphores = reinterpret_cast<std::uint32_t*>(semaphores_->data());
  }

  std::string_view name() const override { return "cuda"; }
  const DeviceInfo& device() const override { return device_; }
  DeviceAllocator& allocator() override { return allocator_; }
  std::span<const Implementation* const> implementations() const override { return cuda_entries(); }
  const Implementation* conversion() const override { return &cuda::conversion; }

  std::unique_ptr<Step> affine_conversion(const ValueDesc& from, const ValueDesc& to, std::span<const float> scale,
                                          std::span<const float> shift) override {
    return make_affine_conversion(from, to, scale, shift, device_, allocator_);
  }
  Support supports_precision(Precision precision) const override {
    return cuda_supports_precision(device_, device_text(device_.index), precision);
  }

  void begin_run(int, const CallerStream* callers) override {
    scope_.emplace(device_.index);
    try {
      target_.callers = callers != nullptr;
      target_.stream = callers ? static_cast<cudaStream_t>(callers->handle) : stream_.get();
      if (callers) refuse_capture(target_.stream);
      // The arena is one: what another stream still does in it comes first.
      if (busy_stream_ && *busy_stream_ != target_.stream)
        check(cuda_api().cudaStreamWaitEvent(target_.stream, enqueued_.get(), 0), "waiting for another stream",
              device_.index);
      if (clock_ && !callers) clock_->begin.record(target_.stream);
    } catch (...) {
      scope_.reset();
      throw;
    }
    run_target = &target_;
  }
  void end_run() override {
    run_target = nullptr;
    cudaError_t error = cudaSuccess;
    if (target_.callers) {
      busy_stream_ = target_.stream;
      error = cuda_api().cudaEventRecord(enqueued_.get(), target_.stream);
    } else {
      if (clock_) {
        clock_->wait_began = std::chrono::steady_clock::now();
        error = cuda_api().cudaEventRecord(clock_->end.get(), target_.stream);
      }
      const cudaError_t waited = cuda_api().cudaStreamSynchronize(stream_.get());
      if (error == cudaSuccess) error = waited;
      busy_stream_.reset();
    }
    scope_.reset();
    check(error, "running the network", device_.index);
  }
  void settle() override {
    if (!std::exchange(busy_stream_, std::nullopt)) return;
    const DeviceScope scope(device_.index);
    enqueued_.wait();
  }
  void copy_to_device(std::byte* device, const std::byte* host, std::size_t bytes) override {
    check(enqueue_copy(device, host, bytes, cudaMemcpyHostToDevice), "copying the input", device_.index);
  }
  void copy_to_host(std::byte* host, const std::byte* device, std::size_t bytes) override {
    check(enqueue_copy(host, device, bytes, cudaMemcpyDeviceToHost), "copying the output", device_.index);
  }
  void copy_on_device(std::byte* to, const std::byte* from, std::size_t bytes) override {
    check(enqueue_copy(to, from, bytes, cudaMemcpyDeviceToDevice), "copying on the device", device_.index);
  }
  std::unique_ptr<DeviceBuffer> allocate_staging(std::size_t bytes) override {
    return allocate_pinned(device_.index, bytes);
  }
  bool records() const override { return true; }
  std::unique_ptr<Recording> record(const RunSequence& sequence, const std::byte* source, std::byte* target) override {
    return std::make_unique<CudaGraph>(device_.index, sequence, source, target);
  }
  void time_runs(bool on) override {
    const DeviceScope scope(device_.index);
    clock_.reset();
    if (on) clock_.emplace(device_.index);
  }
  std::optional<RunTiming> last_timing() const override {
    if (!clock_) return std::nullopt;
    return RunTiming{clock_->wait_began, clock_->begin.us_until(clock_->end)};
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
  void refuse_capture(cudaStream_t stream) const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cuda_api().cudaStreamIsCapturing(stream, &status), "asking for the state of the caller's stream",
          device_.index);
    if (status == cudaStreamCaptureStatusNone) return;
    fail(ErrorCode::invalid_argument, "the stream is being captured", device_text(device_.index),
         "enqueue the network outside of the capture: it is a graph of its own");
  }

  DeviceInfo device_;
  CudaAllocator allocator_;
  Stream stream_;
  Event enqueued_;
  std::unique_ptr<DeviceBuffer> semaphores_;
  struct Clock {
    explicit Clock(int device) : begin(device), end(device) {}
    Event begin, end;
    std::chrono::steady_clock::time_point wait_began;
  };
  std::optional<Clock> clock_;  ///< of timed runs
  struct Target : RunTarget {
    bool callers = false;
  };
  Target target_;
  std::optional<DeviceScope> scope_;         ///< of a run
  std::optional<cudaStream_t> busy_stream_;  ///< of a caller, with work of ours up to `enqueued_`
  LibrarySession libraries_{*this};
};

}  // namespace
}  // namespace cuda

Support cuda_backend_available(int index) {
  if (Support process = cuda::same_process(); !process) return process;
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
  if (info.sm < kernels::oldest_sm) {
    return Support::no(info.name + " is sm_" + std::to_string(info.sm) + "; the kernels need sm_" +
                       std::to_string(kernels::oldest_sm) + " (Turing) or newer");
  }
  return kernels::compiled_for(cuda_api().architectures, info.sm);
}

std::vector<DeviceInfo> cuda_backend_devices() {
  if (!cuda::same_process()) return {};
  const CudaApi& api = cuda_api();
  int count = 0, driver = 0, runtime = 0;
  if (api.cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  static_cast<void>(api.cudaDriverGetVersion(&driver));
  static_cast<void>(api.cudaRuntimeGetVersion(&runtime));
  std::vector<DeviceInfo> devices;
  for (int index = 0; index < count; ++index) {
    DeviceInfo info;
    if (kernels::query_device(index, info) != cudaSuccess) continue;
    cuda::describe_libraries(info);
    info.software = "driver for CUDA " + cuda::version_text(driver) + ", runtime " + cuda::version_text(runtime) +
                    ", " + cuda::libraries_text(info);
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
