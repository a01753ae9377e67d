#pragma once

#include <signal.h>

namespace resnet::sim {

/// While it lives, a kernel that touches an address without memory behind it, or leaves its stack, is reported and its
/// grid ends; everywhere else such an access does what it did before. One at a time.
class FaultGuard {
 public:
  FaultGuard();
  ~FaultGuard();
  FaultGuard(const FaultGuard&) = delete;
  FaultGuard& operator=(const FaultGuard&) = delete;

 private:
  stack_t old_stack_ = {};
};

}  // namespace resnet::sim
