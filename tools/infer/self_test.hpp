#pragma once

#include "common/exit_code.hpp"

namespace resnet::tools {

/// `--self-test [--device NAME] [--json]`: runs the self-tests of a device's kernels and prints what they said.
/// @return ok, or device when a kernel failed
ExitCode infer_self_test(int argc, char** argv);

/// Whether the command line asks for that.
bool wants_self_test(int argc, char** argv);

}  // namespace resnet::tools
