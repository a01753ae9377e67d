#pragma once

#include <optional>

#include "backends/backend.hpp"
#include "backends/cuda/cublaslt_plan.hpp"
#include "backends/cuda/cudnn_plan.hpp"

namespace resnet::cuda {

/// The libraries' handles of one backend object: they serve one thread at a time, like a session. Made at the first
/// step that wants them, which is before any recording.
class LibrarySession {
 public:
  /// @param backend of a CUDA device; it owns this object
  explicit LibrarySession(Backend& backend);
  ~LibrarySession();
  LibrarySession(const LibrarySession&) = delete;
  LibrarySession& operator=(const LibrarySession&) = delete;

  /// The one of the backend whose device() this very object is: an entry's functions see no more of their backend.
  /// Thread-safe. @throws Error internal when there is none
  static LibrarySession& of(const DeviceInfo& device);

  Backend& backend() noexcept { return backend_; }
  /// As cudaDriverGetVersion() reports it.
  int driver() const noexcept { return driver_; }
  /// @throws Error unsupported, device_failed
  CudnnHandle& cudnn();
  CublasltHandle& cublaslt();

 private:
  Backend& backend_;
  int driver_ = 0;
  std::optional<CudnnHandle> cudnn_;
  std::optional<CublasltHandle> cublaslt_;
};

}  // namespace resnet::cuda
