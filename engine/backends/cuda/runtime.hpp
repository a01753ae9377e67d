#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/device_memory.hpp"
#include "base/support.hpp"

/// CUDA calls with the engine's errors.
namespace resnet::cuda {

/// "cuda:0"
std::string device_text(int device);

/// CUDA does not survive a fork. Whether this process is the first one that asked, and why not.
Support same_process();

/// Nothing for cudaSuccess. `doing` completes "... failed": "copying the input".
/// @throws Error out_of_memory, device_failed; both name the device
void check(cudaError_t error, std::string_view doing, int device);

/// Makes a device the current one of the calling thread, and the one before it again at the end.
class DeviceScope {
 public:
  /// @throws Error device_failed, also in a process that was forked from one that used CUDA
  explicit DeviceScope(int device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

/// cudaMalloc on one device.
class CudaAllocator final : public DeviceAllocator {
 public:
  explicit CudaAllocator(int device) : device_(device) {}
  std::string key() const override { return device_text(device_); }
  bool host_visible() const noexcept override { return false; }
  std::unique_ptr<DeviceBuffer> allocate(std::size_t bytes) override;
  void upload(std::byte* destination, const std::byte* source, std::size_t bytes) override;

 private:
  int device_;
};

/// Host memory that the device reads and writes by itself; null where there is none left.
std::unique_ptr<DeviceBuffer> allocate_pinned(int device, std::size_t bytes);

/// A stream of one device that does not wait for the legacy stream.
class Stream {
 public:
  /// @throws Error
  explicit Stream(int device);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const noexcept { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// A point on a stream; with the default flags, a timestamp.
class Event {
 public:
  /// @throws Error
  explicit Event(int device, unsigned flags = cudaEventDefault);
  ~Event();
  Event(Event&& other) noexcept : device_(other.device_), event_(std::exchange(other.event_, nullptr)) {}
  cudaEvent_t get() const noexcept { return event_; }
  void record(cudaStream_t stream);
  void wait();
  /// Microseconds from this event to a later one; both are over.
  double us_until(const Event& later) const;

 private:
  int device_;
  cudaEvent_t event_ = nullptr;
};

}  // namespace resnet::cuda
