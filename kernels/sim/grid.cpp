#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/sim/block.hpp"
#include "kernels/sim/fault_guard.hpp"
#include "kernels/sim/memory.hpp"

namespace resnet::sim {
namespace {

Block& the_block() {
  static Block block;
  return block;
}

cudaError_t error_of(ReportKind kind) {
  switch (kind) {
    case ReportKind::misaligned:
      return cudaErrorMisalignedAddress;
    case ReportKind::out_of_bounds:
    case ReportKind::canary:
      return cudaErrorIllegalAddress;
    case ReportKind::unsupported:
      return cudaErrorIllegalInstruction;
    case ReportKind::trap:
      return cudaErrorLaunchFailure;
    default:
      return cudaErrorLaunchFailure;
  }
}

cudaError_t first_error = cudaSuccess;

}  // namespace

void set_launch_error(ReportKind kind) {
  if (first_error == cudaSuccess) first_error = error_of(kind);
}

const Launch* running_launch() { return running_block ? &running_block->launch() : nullptr; }

cudaError_t run_grid(const Launch& launch) {
  Block& block = the_block();
  first_error = cudaSuccess;
  block.start_grid(launch);
  running_block = &block;
  const FaultGuard guard;
  const std::size_t blocks = static_cast<std::size_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
  std::vector<std::size_t> order(blocks);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (launch.schedule.seed != 0) {
    Random random(launch.schedule.seed * 7919 + launch.number);
    for (std::size_t i = blocks; i > 1; --i)
      std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  for (const std::size_t index : order) {
    const auto x = static_cast<unsigned>(index % launch.grid.x);
    const auto y = static_cast<unsigned>(index / launch.grid.x % launch.grid.y);
    const auto z = static_cast<unsigned>(index / launch.grid.x / launch.grid.y);
    if (!block.run({x, y, z})) break;
  }
  if (!block.checked()) device_memory().count_as_initialised();
  device_memory().check_canaries();
  running_block = nullptr;
  return first_error;
}

}  // namespace resnet::sim
