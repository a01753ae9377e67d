#pragma once

#include <cstdint>

/// The words in which a kernel is written. nvcc compiles them for the GPU, any other compiler for the emulator of
/// kernels/sim, where each CUDA thread is a fiber. Nothing outside kernels/device asks which of the two it is.
#if defined(__CUDACC__)
#define RESNET_KERNEL(threads, blocks_per_multiprocessor) \
  __global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
#define RESNET_DEVICE __device__ __forceinline__
#define RESNET_HOST_DEVICE __host__ __device__ __forceinline__
#define RESNET_PARAMS(type) const __grid_constant__ type
#define RESNET_UNROLL _Pragma("unroll")
#define RESNET_NO_UNROLL _Pragma("unroll 1")
#else
#define RESNET_KERNEL(threads, blocks_per_multiprocessor) void
#define RESNET_DEVICE inline
#define RESNET_HOST_DEVICE inline
#define RESNET_PARAMS(type) const type
#define RESNET_UNROLL
#define RESNET_NO_UNROLL
#endif

#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
// g++ 12 takes every array whose extent is an int template parameter for a conversion; clang checks the real ones.
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#if defined(__CUDA_ARCH__)
#define RESNET_ON_GPU 1
#else
#define RESNET_ON_GPU 0
#endif

namespace resnet::dev {

/// Blocks per multiprocessor to compile for: fewer on sm_100 and newer, where ptxas needs more registers for some
/// texts.
constexpr int blocks_by_target(int blocks, [[maybe_unused]] int blocks_from_sm_100) {
#if RESNET_ON_GPU
#if __CUDA_ARCH__ >= 1000
  return blocks_from_sm_100;
#else
  return blocks;
#endif
#else
  return blocks;
#endif
}

}  // namespace resnet::dev

#if !defined(__CUDACC__)
#include "kernels/sim/thread_api.hpp"
#define RESNET_SITE_ONLY ::resnet::sim::Site site = ::resnet::sim::Site::here()
#define RESNET_SITE , RESNET_SITE_ONLY
#else
#define RESNET_SITE_ONLY
#define RESNET_SITE
#endif
