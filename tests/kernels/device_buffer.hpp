#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace resnet::test {

/// Device memory that notices what it must not be used for: 4 KB of NaN patterns lie before and after the payload, and
/// inputs remember what they held. Under access hooks the payload is an allocation of its own instead.
/// All calls are complete on return. @throws std::runtime_error for an error of CUDA
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// `offset`: bytes by which the payload misses an alignment of 256.
  DeviceBuffer(std::string name, std::size_t bytes, std::size_t offset = 0);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;

  /// Null for an empty buffer.
  void* data() const { return payload_; }
  std::size_t size() const { return bytes_; }

  void fill(int byte);
  /// From now on check() demands these bytes.
  void upload(std::span<const std::byte> bytes);
  std::vector<std::byte> download() const;

  /// Empty, or what happened to the bytes around the payload or to an input: "x was written to at byte 12".
  std::string check() const;

 private:
  std::string name_;
  std::byte* base_ = nullptr;
  std::byte* payload_ = nullptr;
  std::size_t bytes_ = 0, total_ = 0;
  std::vector<std::byte> input_;
};

/// @throws std::runtime_error that names the call
void expect_success(int error, const char* call);

}  // namespace resnet::test
