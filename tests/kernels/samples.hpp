#pragma once

#include <vector>

#include "kernels/environment.hpp"

namespace resnet::test {

/// A problem of the table with types and device, on which a kernel runs.
struct Sample {
  kernels::Problem problem;
  const DeviceInfo* device = nullptr;
};

/// Small problems of the edge table that the kernel takes: at most one per pair of types and epilogue parts (residual
/// or not), `most` altogether. For tests of what is the same for every size.
std::vector<Sample> samples_for(const kernels::Kernel& kernel, std::size_t most);

/// A kernel's name as part of a test's name.
struct KernelName {
  template <class Info>
  std::string operator()(const Info& info) const {
    return std::string(info.param->name);
  }
};

}  // namespace resnet::test
