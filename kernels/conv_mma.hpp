#pragma once

#include <string>

#include "kernels/kernel.hpp"

namespace resnet::kernels {

/// How conv_mma computes a problem: block tile, split of the reduction.
struct ConvMmaChoice {
  int tile = -1;  ///< index into the kernel's list of tiles
  int block_m = 0, block_n = 0;
  int splits = 1;           ///< blocks that share a tile
  int steps = 0;            ///< pipeline stages of one block
  std::int64_t blocks = 0;  ///< tiles of the output
  double us = 0;            ///< paper model
  bool ok() const noexcept { return tile >= 0; }
};

/// "128x64, 4 splits of 9 stages, 52 tiles, 6.1 us".
std::string to_string(const ConvMmaChoice& choice);

/// Every choice that the device allows, for tuning and tests: all tiles, all splits of the model's list. Only for
/// problems whose sizes supports() accepts.
std::span<const int> conv_mma_splits();
ConvMmaChoice conv_mma_choice(const ConvProblem& problem, const DeviceInfo& device, int tile, int splits);
int conv_mma_tiles();

/// The one with the smallest time by the paper model; not ok() where no tile fits.
ConvMmaChoice conv_mma_choice(const ConvProblem& problem, const DeviceInfo& device);
std::size_t conv_mma_workspace_bytes(const ConvMmaChoice& choice);

/// Launches a given choice.
cudaError_t launch_conv_mma(const ConvProblem& problem, const ConvMmaChoice& choice, const Operands& operands,
                            const LaunchTarget& target);

}  // namespace resnet::kernels
