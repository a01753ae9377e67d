#pragma once

#include <utility>

#include "backends/backend.hpp"

namespace resnet {

/// Brackets the steps of one run on a backend.
class BackendRun {
 public:
  /// On the backend's own stream, or enqueued on `stream`.
  BackendRun(Backend& backend, int threads, const CallerStream* stream = nullptr) : backend_(&backend) {
    backend.begin_run(threads, stream);
  }
  ~BackendRun() {
    if (backend_ == nullptr) return;
    try {
      backend_->end_run();
    } catch (const Error&) {
      // A step failed before: that error is on its way.
    }
  }
  BackendRun(const BackendRun&) = delete;
  BackendRun& operator=(const BackendRun&) = delete;
  /// Waits for the run, unless it went to a stream of the caller's. @throws Error
  void finish() { std::exchange(backend_, nullptr)->end_run(); }

 private:
  Backend* backend_;
};

}  // namespace resnet
