#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

namespace resnet {

/// Move-only owner of host memory aligned to 64 bytes; large blocks are aligned to 2 MiB and ask for huge pages.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  /// Uninitialised memory. @throws Error out_of_memory that names the size
  explicit AlignedBuffer(std::size_t bytes);

  std::byte* data() noexcept { return data_.get(); }
  const std::byte* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace resnet
