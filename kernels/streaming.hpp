#pragma once

#include <algorithm>
#include <cstdint>

#include "base/checked.hpp"
#include "base/device_info.hpp"
#include "kernels/device/thread.hpp"

/// What the kernels that only stream through memory share: each thread takes one item after another, a grid apart.
namespace resnet::kernels {

/// Elements of one item: 16 bytes of the 16-bit types, 32 of f32.
constexpr int item_elements = 8;

/// Blocks for `items` of work: enough to fill the device `blocks_per_multiprocessor` deep and no more.
inline unsigned streaming_blocks(std::int64_t items, int threads, int blocks_per_multiprocessor,
                                 const DeviceInfo& device) {
  const std::int64_t wanted = div_up(items, threads);
  const std::int64_t resident = std::int64_t{std::max(device.multiprocessors, 1)} * blocks_per_multiprocessor;
  return static_cast<unsigned>(std::clamp<std::int64_t>(wanted, 1, resident));
}

/// This thread's first item, and how far it is to the next.
RESNET_DEVICE std::int64_t first_item() {
  return static_cast<std::int64_t>(dev::block_index().x) * dev::block_threads() + dev::thread_index();
}
RESNET_DEVICE std::int64_t item_stride() {
  return static_cast<std::int64_t>(dev::grid_size().x) * dev::block_threads();
}

}  // namespace resnet::kernels
