#pragma once

#include <memory>
#include <string>

#include "backends/backend.hpp"
#include "resnet_engine/session.hpp"

namespace resnet {

/// The backend that a device string stands for, and why.
struct DeviceChoice {
  std::shared_ptr<Backend> backend;
  std::string device;  ///< "cpu", "cuda:0", "reference"
  std::string reason;  ///< for "auto": why the ones before it were not taken; otherwise "requested"
};

/// Resolves "auto", "cpu", "cuda", "cuda:N" and "reference". Only "auto" moves on to the next device.
/// @throws Error invalid_argument (unknown name), device_unavailable with the device's reason, unsupported (precision)
DeviceChoice choose_device(const std::string& device, Precision precision);

/// The driver of a device and what stands above it: "driver for CUDA 13.0, runtime 13.0"; empty for a CPU.
std::string device_software(const DeviceInfo& device);

}  // namespace resnet
