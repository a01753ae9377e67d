#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/session_choice.hpp"

namespace resnet::tools {

/// The command line of resnet_inspect.
struct InspectOptions {
  std::string model;
  bool json = false, dot = false, memory_svg = false, graph = false;
  SessionOptions session;
  std::string device_info;  ///< plan for a GPU that is not there
  std::int64_t batch = 1;
  std::optional<Size> input_size;  ///< the model's own when empty
};

/// @return nothing when --help or --version was asked for and printed. @throws UsageError
std::optional<InspectOptions> parse_inspect_options(int argc, char** argv);

}  // namespace resnet::tools
