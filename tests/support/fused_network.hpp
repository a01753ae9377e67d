#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel.hpp"

namespace resnet::test {

/// One kernel launch of a network whose batch norms, residuals and activations sit in the epilogues.
struct FusedStep {
  std::string name;          ///< of the layer that does the work: "layer1.0.conv1"
  kernels::Problem problem;  ///< f32; with_types() of problems.hpp changes that
  int input = -1;            ///< index of the step whose output it reads, -1 is the network's input
  int residual = -1;         ///< the same for the epilogue's residual, where there is one
};

/// The steps of a torchvision ResNet (support/resnet_graphs.hpp) in an order in which they can run.
std::vector<FusedStep> fused_network(std::string_view network, std::int64_t batch, std::int64_t size,
                                     std::int64_t classes = 1000);

}  // namespace resnet::test
