#pragma once

#include <string>
#include <vector>

#include "resnet_engine/export.hpp"

namespace resnet {

/// A device that a Session may be asked for.
struct DeviceReport {
  std::string name;    ///< as SessionOptions::device takes it: "cpu", "cuda:0"; "cuda" where there is none
  std::string model;   ///< of the CPU or GPU; empty where there is none
  std::string detail;  ///< cores and instruction sets, or compute capability, memory and CUDA versions
  bool available = false;
  std::string reason;  ///< why it is not available, and what to do
};

/// All devices of this build and machine in the order in which "auto" tries them. Starts no work on any of them.
/// Thread-safe.
RESNET_ENGINE_API std::vector<DeviceReport> list_devices();

/// The self-test of one GPU kernel.
struct SelfTestReport {
  std::string implementation;  ///< as describe_json() names it
  bool passed = false;
  int cases = 0;        ///< small networks, each in one precision; 0: no network reaches this kernel
  std::string failure;  ///< the first case that went wrong, and how
};

/// Runs the self-tests of all our kernels on a device, `device` as in SessionOptions, and keeps the results in place of
/// earlier ones. Empty where there are none: a CPU's kernels are its library's. Thread-safe.
/// @throws Error invalid_argument, device_unavailable, out_of_memory
RESNET_ENGINE_API std::vector<SelfTestReport> run_self_tests(const std::string& device);

}  // namespace resnet
