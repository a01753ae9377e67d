#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resnet_engine/device.hpp"
#include "resnet_engine/session.hpp"

namespace resnet::tools {

/// "fp32" and so on; `option` is what the text was given to. @throws UsageError that lists the names
Precision parse_precision(std::string_view name, std::string_view option = "--precision");
std::string_view to_string(Precision precision) noexcept;

/// What --device, --precision, --layer-precision, --threads, --force-impl, --forbid-impl and --times say, as texts.
struct SessionArguments {
  std::string device = "auto", precision = "fp32";
  std::vector<std::string> layer_precision;  ///< "LAYER=NAME"
  int threads = 0;
  std::vector<std::string> force, forbid;
  std::string times;

  /// The same as the library takes it. @throws UsageError that names the option
  SessionOptions options() const;
};

/// The library's error in the tools' words: the option in place of the member of SessionOptions.
Error in_option_words(const Error& error);

/// Checks the form auto | cpu | cuda | cuda:N | reference; `option` is what it was given to. @throws UsageError
void check_device_name(std::string_view name, std::string_view option = "--device");

/// One line per device: its name, then what it is or why it is not available.
std::string device_table(std::span<const DeviceReport> devices);

/// The value of --input-size: "224x224" or "224X224" -> {224, 224}, sides from 1 to 16384. @throws UsageError
struct Size {
  std::int64_t height = 0, width = 0;
};
Size parse_size(std::string_view text);

}  // namespace resnet::tools
