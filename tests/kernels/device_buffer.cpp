#include "kernels/device_buffer.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "kernels/cuda_api.hpp"
#include "kernels/environment.hpp"

namespace resnet::test {
namespace {

constexpr std::size_t canary_bytes = 4096;

/// Words of NaN, whatever they are read as.
std::byte canary(std::size_t address) { return std::byte{address % 4 == 3 ? std::uint8_t{0x7f} : std::uint8_t{0xff}}; }

std::size_t first_difference(std::span<const std::byte> a, std::span<const std::byte> b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

void expect_success(int error, const char* call) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(call) + ": " + cuda_api().cudaGetErrorString(static_cast<cudaError_t>(error)));
}

DeviceBuffer::DeviceBuffer(std::string name, std::size_t bytes, std::size_t offset)
    : name_(std::move(name)), bytes_(bytes) {
  if (bytes == 0) return;
  const std::size_t border = has_access_hooks() ? 0 : canary_bytes;
  total_ = border + offset + bytes + border;
  void* memory = nullptr;
  expect_success(cuda_api().cudaMalloc(&memory, total_), "cudaMalloc");
  base_ = static_cast<std::byte*>(memory);
  payload_ = base_ + border + offset;
  if (border == 0) return;
  std::vector<std::byte> pattern(total_);
  for (std::size_t i = 0; i < total_; ++i) pattern[i] = canary(i);
  expect_success(cuda_api().cudaMemcpy(base_, pattern.data(), total_, cudaMemcpyHostToDevice), "cudaMemcpy");
}

DeviceBuffer::~DeviceBuffer() {
  if (base_) cuda_api().cudaFree(base_);
}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(base_, other.base_);
  std::swap(payload_, other.payload_);
  std::swap(bytes_, other.bytes_);
  std::swap(total_, other.total_);
  std::swap(input_, other.input_);
  return *this;
}

void DeviceBuffer::fill(int byte) {
  if (!payload_) return;
  expect_success(cuda_api().cudaMemset(payload_, byte, bytes_), "cudaMemset");
  expect_success(cuda_api().cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

void DeviceBuffer::upload(std::span<const std::byte> bytes) {
  if (bytes.size() != bytes_) throw std::runtime_error(name_ + " is uploaded with another size");
  if (!payload_) return;
  expect_success(cuda_api().cudaMemcpy(payload_, bytes.data(), bytes_, cudaMemcpyHostToDevice), "cudaMemcpy");
  input_.assign(bytes.begin(), bytes.end());
}

std::vector<std::byte> DeviceBuffer::download() const {
  std::vector<std::byte> bytes(bytes_);
  if (payload_)
    expect_success(cuda_api().cudaMemcpy(bytes.data(), payload_, bytes_, cudaMemcpyDeviceToHost), "cudaMemcpy");
  return bytes;
}

std::string DeviceBuffer::check() const {
  if (!base_) return {};
  std::vector<std::byte> now(total_);
  expect_success(cuda_api().cudaMemcpy(now.data(), base_, total_, cudaMemcpyDeviceToHost), "cudaMemcpy");
  const auto begin = static_cast<std::size_t>(payload_ - base_), end = begin + bytes_;
  if (!has_access_hooks()) {
    for (std::size_t i = 0; i < total_; ++i) {
      if (i == begin) i = end;
      if (i >= total_) break;
      if (now[i] == canary(i)) continue;
      return i < begin ? name_ + " was written to " + std::to_string(begin - i) + " bytes before its start"
                       : name_ + " was written to " + std::to_string(i - end) + " bytes after its end";
    }
  }
  if (!input_.empty()) {
    const std::size_t changed = first_difference(input_, std::span(now).subspan(begin, bytes_));
    if (changed < bytes_) return "the input " + name_ + " was changed at byte " + std::to_string(changed);
  }
  return {};
}

}  // namespace resnet::test
