#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace resnet {

/// Move-only owner of memory on one device (host memory for CPU devices).
class DeviceBuffer {
 public:
  virtual ~DeviceBuffer() = default;
  virtual std::byte* data() noexcept = 0;
  virtual std::size_t size() const noexcept = 0;
};

/// Allocates and fills memory of one device. Thread-safe.
class DeviceAllocator {
 public:
  virtual ~DeviceAllocator() = default;
  /// "cpu", "cuda:0": the weight store's device key.
  virtual std::string key() const = 0;
  virtual bool host_visible() const noexcept = 0;
  /// @throws Error out_of_memory
  virtual std::unique_ptr<DeviceBuffer> allocate(std::size_t bytes) = 0;
  /// Host to device, complete on return.
  virtual void upload(std::byte* destination, const std::byte* source, std::size_t bytes) = 0;
};

}  // namespace resnet
