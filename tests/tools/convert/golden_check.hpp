#pragma once

#include <string>

#include "resnet_engine/tensor.hpp"

namespace resnet::test {

/// A file that a framework wrote and what the framework computed with it, below tests/golden.
struct Golden {
  std::string source;            ///< arguments of resnet_convert, "torch/basic.pth"
  std::string x, y;              ///< arrays: the input and the framework's output
  Layout layout = Layout::nchw;  ///< of x
  double relative_l2 = 1e-5;
};

/// Converts and runs on the reference and the CPU backend. `source` may name a file of tests/golden or an absolute
/// path.
void expect_golden(const Golden& golden);

/// tests/golden/NAME
std::string golden_path(const std::string& name);

}  // namespace resnet::test
