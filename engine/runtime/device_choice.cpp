#include "runtime/device_choice.hpp"

#include <algorithm>
#include <charconv>

#include "base/check.hpp"

namespace resnet {
namespace {

struct DeviceName {
  std::string name;
  int index = 0;
  bool has_index = false;
};

DeviceName parse(const std::string& device) {
  DeviceName parsed;
  const auto colon = device.find(':');
  parsed.name = device.substr(0, colon);
  if (colon == std::string::npos) return parsed;
  parsed.has_index = true;
  const char* const end = device.data() + device.size();
  const auto [stop, error] = std::from_chars(device.data() + colon + 1, end, parsed.index);
  if (error != std::errc() || stop != end || parsed.index < 0) {
    fail(ErrorCode::invalid_argument, "\"" + device + "\" has no valid index", "device", "write it as cuda:0");
  }
  return parsed;
}

std::string canonical(std::string_view name, int index) {
  return name == "cuda" ? "cuda:" + std::to_string(index) : std::string(name);
}

DeviceChoice choose_automatically(Precision precision) {
  std::string reasons;
  for (const BackendEntry& entry : backend_list()) {
    if (const Support available = entry.available(0); !available) {
      reasons += std::string(entry.name) + ": " + available.reason + "; ";
      continue;
    }
    auto backend = entry.create(0);
    if (const Support precise = backend->supports_precision(precision); !precise) {
      reasons += std::string(entry.name) + ": " + precise.reason + "; ";
      continue;
    }
    return {std::move(backend), canonical(entry.name, 0), reasons + "using " + std::string(entry.name)};
  }
  reasons.resize(reasons.size() - std::min<std::size_t>(2, reasons.size()));  // the last separator
  fail(ErrorCode::device_unavailable, "no device can run this: " + reasons, "device auto");
}

}  // namespace

DeviceChoice choose_device(const std::string& device, Precision precision) {
  if (device == "auto") return choose_automatically(precision);
  const DeviceName wanted = parse(device);
  std::string names = "auto";
  for (const BackendEntry& entry : backend_list()) {
    names += ", " + std::string(entry.name);
    if (entry.name != wanted.name) continue;
    if (wanted.has_index && entry.name != "cuda") {
      fail(ErrorCode::invalid_argument, "\"" + device + "\" takes no index", "device");
    }
    if (const Support available = entry.available(wanted.index); !available) {
      fail(ErrorCode::device_unavailable, available.reason, "device " + device,
           "use --device cpu, or auto to fall back");
    }
    auto backend = entry.create(wanted.index);
    if (const Support precise = backend->supports_precision(precision); !precise) {
      fail(ErrorCode::unsupported, precise.reason, "device " + device);
    }
    return {std::move(backend), canonical(entry.name, wanted.index), "requested"};
  }
  fail(ErrorCode::invalid_argument, "unknown device \"" + device + '"', "device", "use one of " + names);
}

std::string device_software(const DeviceInfo& device) {
  for (const BackendEntry& entry : backend_list()) {
    for (const DeviceInfo& known : entry.devices()) {
      if (known.kind == device.kind && known.index == device.index) return known.software;
    }
  }
  return {};
}

}  // namespace resnet
