#pragma once

#include <utility>

#include "backends/backend.hpp"

namespace resnet {

/// Brackets the steps of one run on a backend.
class BackendRun {
 public:
  BackendRun(Backend& backend, int threads) : backend_(&backend) { backend.begin_run(threads); }
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
  /// Waits for the run. @throws Error
  void finish() { std::exchange(backend_, nullptr)->end_run(); }

 private:
  Backend* backend_;
};

}  // namespace resnet
