#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/host_data.hpp"

namespace resnet::test {

/// Operands of an exact computation. x and second in double, so that whole networks can be computed.
struct ExactOperands {
  std::span<const double> x, second;
  std::span<const float> weight, scale, shift;
};

struct ExactResult {
  std::vector<double> y;              ///< as it lies in memory
  std::vector<std::int32_t> indices;  ///< top-k
};

/// The problem's definition (base/problem.hpp) as plain loops in double. Written without a look at any kernel; checked
/// against the ops' reference loops and values worked out by hand (oracle_test.cpp). `threads`: for large sizes.
ExactResult exact_result(const kernels::Problem& problem, const ExactOperands& operands, int threads = 1);
ExactResult exact_result(const kernels::Problem& problem, const HostData& data, int threads = 1);

}  // namespace resnet::test
