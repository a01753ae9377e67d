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

}  // namespace resnet
