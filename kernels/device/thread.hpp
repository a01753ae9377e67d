#pragma once

#include "kernels/device/types.hpp"

/// Indices, barriers, warp exchange. Blocks are one-dimensional, a warp has 32 lanes.
namespace resnet::dev {

struct Index3 {
  unsigned x, y, z;
};

constexpr std::uint32_t all_lanes = 0xffffffffu;

RESNET_DEVICE unsigned thread_index() {
#if RESNET_ON_GPU
  return threadIdx.x;
#elif !defined(__CUDACC__)
  return sim::current->thread;
#else
  return 0;
#endif
}

RESNET_DEVICE unsigned block_threads() {
#if RESNET_ON_GPU
  return blockDim.x;
#elif !defined(__CUDACC__)
  return sim::current->threads;
#else
  return 0;
#endif
}

RESNET_DEVICE Index3 block_index() {
#if RESNET_ON_GPU
  return {blockIdx.x, blockIdx.y, blockIdx.z};
#elif !defined(__CUDACC__)
  return {sim::current->block.x, sim::current->block.y, sim::current->block.z};
#else
  return {};
#endif
}

RESNET_DEVICE Index3 grid_size() {
#if RESNET_ON_GPU
  return {gridDim.x, gridDim.y, gridDim.z};
#elif !defined(__CUDACC__)
  return {sim::current->grid.x, sim::current->grid.y, sim::current->grid.z};
#else
  return {};
#endif
}

RESNET_DEVICE unsigned lane() { return thread_index() % 32; }
RESNET_DEVICE unsigned warp() { return thread_index() / 32; }

/// Barrier of the whole block, orders shared and global accesses of its threads. Every thread must reach the same one.
RESNET_DEVICE void sync_threads(RESNET_SITE_ONLY) {
#if RESNET_ON_GPU
  __syncthreads();
#elif !defined(__CUDACC__)
  sim::sync_threads(site);
#endif
}

/// Barrier `id` (1 to 15) of `count` threads, a multiple of 32.
RESNET_DEVICE void sync_named(int id, int count RESNET_SITE) {
#if RESNET_ON_GPU
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
#elif !defined(__CUDACC__)
  sim::sync_named(id, count, site);
#endif
}

/// Arrives at barrier `id` without waiting.
RESNET_DEVICE void arrive_named(int id, int count RESNET_SITE) {
#if RESNET_ON_GPU
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
#elif !defined(__CUDACC__)
  sim::arrive_named(id, count, site);
#endif
}

/// Barrier of the lanes in `mask`, orders their memory accesses. Shuffles, votes, ldmatrix and mma order none.
RESNET_DEVICE void sync_warp(std::uint32_t mask = all_lanes RESNET_SITE) {
#if RESNET_ON_GPU
  __syncwarp(mask);
#elif !defined(__CUDACC__)
  sim::sync_warp(mask, site);
#endif
}

/// The value of lane `source % width` within each group of `width` lanes. T has 4 bytes.
template <class T>
RESNET_DEVICE T shuffle(T value, int source, int width = 32, std::uint32_t mask = all_lanes RESNET_SITE) {
#if RESNET_ON_GPU
  return __shfl_sync(mask, value, source, width);
#elif !defined(__CUDACC__)
  return from_bits<T>(sim::shuffle(sim::Shuffle::index, mask, to_bits(value), source, width, site));
#else
  return value;
#endif
}

/// The value of the lane whose number differs by exclusive-or with `bits`.
template <class T>
RESNET_DEVICE T shuffle_xor(T value, int bits, int width = 32, std::uint32_t mask = all_lanes RESNET_SITE) {
#if RESNET_ON_GPU
  return __shfl_xor_sync(mask, value, bits, width);
#elif !defined(__CUDACC__)
  return from_bits<T>(sim::shuffle(sim::Shuffle::exclusive_or, mask, to_bits(value), bits, width, site));
#else
  return value;
#endif
}

/// The value of the lane that is `delta` higher; a lane without one gets its own.
template <class T>
RESNET_DEVICE T shuffle_down(T value, int delta, int width = 32, std::uint32_t mask = all_lanes RESNET_SITE) {
#if RESNET_ON_GPU
  return __shfl_down_sync(mask, value, static_cast<unsigned>(delta), width);
#elif !defined(__CUDACC__)
  return from_bits<T>(sim::shuffle(sim::Shuffle::down, mask, to_bits(value), delta, width, site));
#else
  return value;
#endif
}

/// Bit per lane of `mask` whose predicate holds.
RESNET_DEVICE std::uint32_t ballot(bool predicate, std::uint32_t mask = all_lanes RESNET_SITE) {
#if RESNET_ON_GPU
  return __ballot_sync(mask, predicate);
#elif !defined(__CUDACC__)
  return sim::ballot(mask, predicate, site);
#else
  return 0;
#endif
}

/// Sum over the warp in a fixed order (butterfly); every lane gets it.
RESNET_DEVICE float warp_sum(float value) {
  RESNET_UNROLL
  for (int bits = 16; bits > 0; bits /= 2) value += shuffle_xor(value, bits);
  return value;
}

}  // namespace resnet::dev
