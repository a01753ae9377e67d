#include "backends/cuda/library_session.hpp"

#include <map>
#include <mutex>

#include "backends/cuda/runtime.hpp"
#include "base/check.hpp"
#include "kernels/cuda_api.hpp"

namespace resnet::cuda {
namespace {

struct Sessions {
  std::mutex lock;
  std::map<const DeviceInfo*, LibrarySession*> of;
};

Sessions& sessions() {
  static Sessions all;
  return all;
}

/// A process's first handle must be made alone.
std::mutex& making_handles() {
  static std::mutex lock;
  return lock;
}

}  // namespace

LibrarySession::LibrarySession(Backend& backend) : backend_(backend) {
  static_cast<void>(cuda_api().cudaDriverGetVersion(&driver_));  // 0 where it does not say
  const std::lock_guard guard(sessions().lock);
  sessions().of.emplace(&backend.device(), this);
}

LibrarySession::~LibrarySession() {
  if (!same_process()) {
    if (cudnn_) cudnn_->abandon();
    if (cublaslt_) cublaslt_->abandon();
  }
  const std::lock_guard guard(sessions().lock);
  sessions().of.erase(&backend_.device());
}

LibrarySession& LibrarySession::of(const DeviceInfo& device) {
  const std::lock_guard guard(sessions().lock);
  const auto found = sessions().of.find(&device);
  ensure(found != sessions().of.end(), "a library's step is prepared with its backend's own device facts");
  return *found->second;
}

CudnnHandle& LibrarySession::cudnn() {
  if (!cudnn_) {
    const std::lock_guard guard(making_handles());
    const DeviceScope scope(backend_.device().index);
    cudnn_.emplace();
  }
  return *cudnn_;
}

CublasltHandle& LibrarySession::cublaslt() {
  if (!cublaslt_) {
    const std::lock_guard guard(making_handles());
    const DeviceScope scope(backend_.device().index);
    cublaslt_.emplace();
  }
  return *cublaslt_;
}

}  // namespace resnet::cuda
