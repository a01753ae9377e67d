#include <cstdio>

#include "backends/backend.hpp"
#include "resnet_engine/device.hpp"

namespace resnet {
namespace {

std::string gibibytes(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / (1u << 30));
  return text;
}

std::string describe(const DeviceInfo& device) {
  if (device.kind == DeviceKind::cuda) {
    return "sm_" + std::to_string(device.sm) + ", " + std::to_string(device.multiprocessors) + " multiprocessors, " +
           gibibytes(device.memory_bytes) + ", " + device.software;
  }
  std::string text = std::to_string(device.cores) + (device.cores == 1 ? " core" : " cores");
  if (device.avx512) {
    text += ", AVX-512";
  } else if (device.avx2) {
    text += ", AVX2";
  }
  if (device.avx512_bf16 || device.amx_bf16) text += ", bf16";
  return text;
}

}  // namespace

std::vector<DeviceReport> list_devices() {
  std::vector<DeviceReport> reports;
  for (const BackendEntry& entry : backend_list()) {
    const std::vector<DeviceInfo> devices = entry.devices();
    if (devices.empty()) reports.push_back({std::string(entry.name), {}, {}, false, entry.available(0).reason});
    for (const DeviceInfo& device : devices) {
      const Support available = entry.available(device.index);
      const bool numbered = device.kind == DeviceKind::cuda;
      reports.push_back({std::string(entry.name) + (numbered ? ':' + std::to_string(device.index) : ""), device.name,
                         describe(device), available.ok, available.reason});
    }
  }
  return reports;
}

}  // namespace resnet
