#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "base/aligned_buffer.hpp"
#include "base/device_memory.hpp"

namespace resnet {

/// Host memory for every device that computes on the CPU: their weights can share buffers.
class HostAllocator final : public DeviceAllocator {
 public:
  std::string key() const override { return "cpu"; }
  bool host_visible() const noexcept override { return true; }
  std::unique_ptr<DeviceBuffer> allocate(std::size_t bytes) override { return std::make_unique<Buffer>(bytes); }
  void upload(std::byte* destination, const std::byte* source, std::size_t bytes) override {
    std::memcpy(destination, source, bytes);
  }

 private:
  class Buffer final : public DeviceBuffer {
   public:
    explicit Buffer(std::size_t bytes) : memory_(bytes) {}
    std::byte* data() noexcept override { return memory_.data(); }
    std::size_t size() const noexcept override { return memory_.size(); }

   private:
    AlignedBuffer memory_;
  };
};

}  // namespace resnet
