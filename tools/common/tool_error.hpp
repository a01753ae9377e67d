#pragma once

#include <stdexcept>
#include <string>

#include "common/exit_code.hpp"

namespace resnet::tools {

/// Ends a tool with one line on stderr and this exit code.
class ToolError : public std::runtime_error {
 public:
  ToolError(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

/// A wrong command line; run_tool adds the pointer to --help.
class UsageError : public ToolError {
 public:
  explicit UsageError(const std::string& message) : ToolError(ExitCode::usage, message) {}
};

/// Something cannot be written.
class OutputError : public ToolError {
 public:
  explicit OutputError(const std::string& message) : ToolError(ExitCode::resource, message) {}
};

}  // namespace resnet::tools
