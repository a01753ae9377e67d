#include <algorithm>
#include <array>

#include "kernels/kernel_list.hpp"

namespace resnet::kernels {

namespace {

/// The whole decision on one screen: order is priority among equal estimates, what takes everything comes last.
constexpr std::array ordered_list{
    &conv_grouped,
    &conv_depthwise,
    &pool_dense,
    // The matrix unit.
    &conv_stem,
    &conv_grouped_mma,
    &conv_mma,
    &dense_mma,
    // What takes everything.
    &conv_direct,
    &dense_direct,
    &pool,
    &adaptive_pool,
    &convert,
    &pad,
    &softmax,
    &top_k,
    &pointwise,
};

}  // namespace

std::span<const Kernel* const> catalog() { return ordered_list; }

const Kernel* find_kernel(std::string_view name) {
  const auto found = std::find_if(ordered_list.begin(), ordered_list.end(),
                                  [&](const Kernel* kernel) { return kernel->name == name; });
  return found == ordered_list.end() ? nullptr : *found;
}

const Kernel* select_kernel(const Problem& problem, const DeviceInfo& device) {
  const Kernel* best = nullptr;
  double best_us = 0;
  for (const Kernel* kernel : ordered_list) {
    if (!kernel->supports(problem, device)) continue;
    const double us = kernel->estimate_us(problem, device);
    if (!best || us < best_us) best = kernel, best_us = us;
  }
  return best;
}

}  // namespace resnet::kernels
