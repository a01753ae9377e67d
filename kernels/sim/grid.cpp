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

/// The numbers of the blocks that run, in the schedule's order.
std::vector<std::size_t> blocks_to_run(const Launch& launch) {
  const std::size_t x = launch.grid.x, rows = static_cast<std::size_t>(launch.grid.y) * launch.grid.z;
  const std::size_t sampled = launch.schedule.sampled_blocks;
  std::vector<std::size_t> order;
  if (sampled == 0 || x <= 3 * sampled) {
    order.resize(x * rows);
    std::iota(order.begin(), order.end(), std::size_t{0});
  } else {
    for (std::size_t row = 0; row < rows; ++row)
      for (const std::size_t first : {std::size_t{0}, (x - sampled) / 2, x - sampled})
        for (std::size_t i = 0; i < sampled; ++i) order.push_back(row * x + first + i);
  }
  if (launch.schedule.seed != 0) {
    Random random(launch.schedule.seed * 7919 + launch.number);
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

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
  for (const std::size_t index : blocks_to_run(launch)) {
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
