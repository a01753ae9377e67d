#pragma once

#include <optional>
#include <string>

#include "common/session_choice.hpp"
#include "resnet_engine/tensor.hpp"

namespace resnet::tools {

/// The command line of resnet_verify.
struct VerifyOptions {
  std::string model;
  std::string input;             ///< array file; made-up values when empty
  std::optional<Layout> layout;  ///< of the array; told from its shape when empty
  std::string expected;          ///< array file, or empty
  std::string against;           ///< device name, or empty
  bool layers = false, json = false;
  double tolerance = 0;  ///< relative L2
  SessionOptions session;
};

/// @return nothing when --help or --version was asked for and printed. @throws UsageError
std::optional<VerifyOptions> parse_verify_options(int argc, char** argv);

}  // namespace resnet::tools
