#pragma once

#include <span>
#include <string>
#include <string_view>

#include "resnet_engine/device.hpp"
#include "resnet_engine/session.hpp"

namespace resnet::tools {

/// "fp32" and so on. @throws UsageError that lists the names
Precision parse_precision(std::string_view name);
std::string_view to_string(Precision precision) noexcept;

/// Checks the form auto | cpu | cuda | cuda:N | reference. @throws UsageError
void check_device_name(std::string_view name);

/// One line per device: its name, then what it is or why it is not available.
std::string device_table(std::span<const DeviceReport> devices);

/// The value of --input-size: "224x224" or "224X224" -> {224, 224}, sides from 1 to 16384. @throws UsageError
struct Size {
  std::int64_t height = 0, width = 0;
};
Size parse_size(std::string_view text);

}  // namespace resnet::tools
