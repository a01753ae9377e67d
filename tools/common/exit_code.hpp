#pragma once

#include "resnet_engine/error.hpp"

namespace resnet::tools {

/// What every tool's process ends with; of two causes the larger code (docs/cli.md).
enum class ExitCode : int {
  ok = 0,
  input_failed = 1,   ///< some or all inputs failed
  usage = 2,          ///< unknown option, value out of range, contradiction
  source = 3,         ///< the model or source file is missing, unreadable or rejected
  resource = 4,       ///< memory, unwritable output, internal error
  device = 5,         ///< the device is missing, cannot do what was asked, or failed
  interrupted = 130,  ///< SIGINT
  terminated = 143,   ///< SIGTERM
};

/// The larger of two causes.
constexpr ExitCode worse(ExitCode a, ExitCode b) noexcept { return a < b ? b : a; }

/// The exit code of an Error that ends a tool. `io` counts as an unreadable source: whoever writes throws OutputError.
ExitCode exit_code_of(ErrorCode code) noexcept;

}  // namespace resnet::tools
