#include "backends/cuda/runtime.hpp"

#include <unistd.h>

#include <atomic>

#include "base/check.hpp"
#include "kernels/cuda_api.hpp"

namespace resnet::cuda {
namespace {

class Buffer final : public DeviceBuffer {
 public:
  Buffer(int device, void* data, std::size_t bytes) : device_(device), data_(data), bytes_(bytes) {}
  ~Buffer() override {
    if (!same_process()) return;  // its owner frees it
    // Fails where the context is gone: so is the memory.
    int before = device_;
    static_cast<void>(cuda_api().cudaGetDevice(&before));
    if (before != device_) static_cast<void>(cuda_api().cudaSetDevice(device_));
    static_cast<void>(cuda_api().cudaFree(data_));
    if (before != device_) static_cast<void>(cuda_api().cudaSetDevice(before));
  }
  std::byte* data() noexcept override { return static_cast<std::byte*>(data_); }
  std::size_t size() const noexcept override { return bytes_; }

 private:
  int device_;
  void* data_;
  std::size_t bytes_;
};

class PinnedBuffer final : public DeviceBuffer {
 public:
  PinnedBuffer(void* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  ~PinnedBuffer() override {
    if (same_process()) static_cast<void>(cuda_api().cudaFreeHost(data_));
  }
  std::byte* data() noexcept override { return static_cast<std::byte*>(data_); }
  std::size_t size() const noexcept override { return bytes_; }

 private:
  void* data_;
  std::size_t bytes_;
};

std::string mebibytes(std::size_t bytes) { return std::to_string((bytes + 1048575) / 1048576) + " MiB"; }

[[noreturn]] void out_of_memory(std::size_t bytes, int device) {
  static_cast<void>(cuda_api().cudaGetLastError());  // not sticky: the next call must not see it
  std::size_t free = 0, total = 0;
  std::string message = mebibytes(bytes) + " of device memory could not be allocated";
  if (cuda_api().cudaMemGetInfo(&free, &total) == cudaSuccess)
    message += ", " + mebibytes(free) + " of " + mebibytes(total) + " are free";
  fail(ErrorCode::out_of_memory, message, device_text(device),
       "use a smaller batch, another device, or end what else runs on this one");
}

}  // namespace

Support same_process() {
  static std::atomic<pid_t> first{0};
  const pid_t own = getpid();
  pid_t before = 0;
  if (first.compare_exchange_strong(before, own) || before == own) return Support::yes();
  return Support::no(
      "this process was forked from one that used CUDA, which does not survive that: fork before the first use of the "
      "GPU, or start the program anew (exec)");
}

std::string device_text(int device) { return "cuda:" + std::to_string(device); }

void check(cudaError_t error, std::string_view doing, int device) {
  if (error == cudaSuccess) return;
  const CudaApi& api = cuda_api();
  static_cast<void>(api.cudaGetLastError());
  const std::string text =
      std::string(doing) + " failed: " + api.cudaGetErrorName(error) + ", " + api.cudaGetErrorString(error);
  if (error == cudaErrorMemoryAllocation)
    fail(ErrorCode::out_of_memory, text, device_text(device), "use a smaller batch");
  if (error == cudaErrorNoKernelImageForDevice)
    fail(ErrorCode::device_failed, text, device_text(device),
         "build for this GPU: -DRESNET_CUDA_ARCHITECTURES=XX-real with its compute capability, 90 for 9.0");
  fail(ErrorCode::device_failed, text, device_text(device),
       "restart the program if every later call fails too: CUDA gives up a context after such an error");
}

DeviceScope::DeviceScope(int device) {
  if (const Support process = same_process(); !process)
    fail(ErrorCode::device_failed, process.reason, device_text(device));
  check(cuda_api().cudaGetDevice(&before_), "asking for the current device", device);
  if (before_ == device) return;
  check(cuda_api().cudaSetDevice(device), "choosing the device", device);
  changed_ = true;
}

DeviceScope::~DeviceScope() {
  if (changed_) static_cast<void>(cuda_api().cudaSetDevice(before_));
}

std::unique_ptr<DeviceBuffer> CudaAllocator::allocate(std::size_t bytes) {
  const DeviceScope scope(device_);
  void* data = nullptr;
  const cudaError_t error = cuda_api().cudaMalloc(&data, bytes > 0 ? bytes : 1);
  if (error == cudaErrorMemoryAllocation) out_of_memory(bytes, device_);
  check(error, "allocating device memory", device_);
  return std::make_unique<Buffer>(device_, data, bytes);
}

void CudaAllocator::upload(std::byte* destination, const std::byte* source, std::size_t bytes) {
  const DeviceScope scope(device_);
  check(cuda_api().cudaMemcpy(destination, source, bytes, cudaMemcpyHostToDevice), "copying weights", device_);
  // A copy from pageable memory returns when the source was read, not when the destination is written.
  check(cuda_api().cudaStreamSynchronize(nullptr), "copying weights", device_);
}

std::unique_ptr<DeviceBuffer> allocate_pinned(int device, std::size_t bytes) {
  const DeviceScope scope(device);
  void* data = nullptr;
  const cudaError_t error = cuda_api().cudaMallocHost(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cuda_api().cudaGetLastError());
    return nullptr;
  }
  check(error, "allocating pinned memory", device);
  return std::make_unique<PinnedBuffer>(data, bytes);
}

Stream::Stream(int device) {
  const DeviceScope scope(device);
  check(cuda_api().cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream", device);
}

Stream::~Stream() {
  if (same_process()) static_cast<void>(cuda_api().cudaStreamDestroy(stream_));
}

Event::Event(int device, unsigned flags) : device_(device) {
  const DeviceScope scope(device);
  check(cuda_api().cudaEventCreateWithFlags(&event_, flags), "creating an event", device);
}

Event::~Event() {
  if (event_ && same_process()) static_cast<void>(cuda_api().cudaEventDestroy(event_));
}

void Event::record(cudaStream_t stream) {
  check(cuda_api().cudaEventRecord(event_, stream), "recording an event", device_);
}

void Event::wait() { check(cuda_api().cudaEventSynchronize(event_), "waiting for the device", device_); }

double Event::us_until(const Event& later) const {
  float ms = 0;
  check(cuda_api().cudaEventElapsedTime(&ms, event_, later.event_), "reading an event", device_);
  return 1e3 * static_cast<double>(ms);
}

}  // namespace resnet::cuda
