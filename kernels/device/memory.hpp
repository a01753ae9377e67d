#pragma once

#include <cstddef>

#include "kernels/device/types.hpp"

/// Shared memory, vector accesses, asynchronous copies, atomics.
namespace resnet::dev {

#if defined(__CUDACC__)
namespace detail {
extern __shared__ __align__(1024) unsigned char shared_memory[];
}
#endif

/// Most dynamic shared memory of a block on this target.
RESNET_DEVICE constexpr int shared_limit() {
#if RESNET_ON_GPU && __CUDA_ARCH__ < 800
  return 64 * 1024;
#elif RESNET_ON_GPU && (__CUDA_ARCH__ == 860 || __CUDA_ARCH__ == 890 || __CUDA_ARCH__ >= 1200)
  return 99 * 1024;
#elif RESNET_ON_GPU && __CUDA_ARCH__ < 900
  return 163 * 1024;
#else
  return 227 * 1024;
#endif
}

/// Hands out the block's dynamic shared memory, region after region. Every thread makes the same calls with the same
/// sizes; the launcher books shared_bytes() of the same list.
class SharedArena {
 public:
  /// `count` elements, aligned to `alignment` (a power of two, at most 1024). Uninitialised.
  template <class T>
  RESNET_DEVICE T* allocate(unsigned count, unsigned alignment = 16 RESNET_SITE) {
#if !defined(__CUDACC__)
    return static_cast<T*>(sim::shared_allocate(count * sizeof(T), alignment, site));
#else
    offset_ = (offset_ + alignment - 1) / alignment * alignment;
    T* const region = reinterpret_cast<T*>(detail::shared_memory + offset_);
    offset_ += count * static_cast<unsigned>(sizeof(T));
    return region;
#endif
  }

 private:
#if defined(__CUDACC__)
  unsigned offset_ = 0;
#endif
};

/// 16 bytes at a 16-byte aligned address, global or shared.
RESNET_DEVICE Vec16 load16(const void* address RESNET_SITE) {
#if !defined(__CUDACC__)
  Vec16 value;
  sim::load16(value.words, address, site);
  return value;
#else
  const uint4 value = *static_cast<const uint4*>(address);
  return {{value.x, value.y, value.z, value.w}};
#endif
}

RESNET_DEVICE void store16(void* address, const Vec16& value RESNET_SITE) {
#if !defined(__CUDACC__)
  sim::store16(address, value.words, site);
#else
  *static_cast<uint4*>(address) = make_uint4(value.words[0], value.words[1], value.words[2], value.words[3]);
#endif
}

/// Two words at an 8-byte aligned address, for four 16-bit elements at once.
struct Words2 {
  std::uint32_t words[2];
};
RESNET_DEVICE Words2 load8(const void* address RESNET_SITE) {
#if !defined(__CUDACC__)
  Words2 value;
  sim::load_bytes(&value, address, 8, site);
  return value;
#else
  const uint2 value = *static_cast<const uint2*>(address);
  return {{value.x, value.y}};
#endif
}

/// A word at a 4-byte aligned address, for two 16-bit elements at once.
RESNET_DEVICE std::uint32_t load4(const void* address RESNET_SITE) {
#if !defined(__CUDACC__)
  std::uint32_t value;
  sim::load_bytes(&value, address, 4, site);
  return value;
#else
  return *static_cast<const std::uint32_t*>(address);
#endif
}

RESNET_DEVICE void store4(void* address, std::uint32_t value RESNET_SITE) {
#if !defined(__CUDACC__)
  sim::store_bytes(address, &value, 4, site);
#else
  *static_cast<std::uint32_t*>(address) = value;
#endif
}

/// Two words at an 8-byte aligned address.
RESNET_DEVICE void store8(void* address, std::uint32_t first, std::uint32_t second RESNET_SITE) {
#if !defined(__CUDACC__)
  const std::uint32_t words[2] = {first, second};
  sim::store_bytes(address, words, 8, site);
#else
  *static_cast<uint2*>(address) = make_uint2(first, second);
#endif
}

#if defined(__CUDACC__)
namespace detail {
RESNET_DEVICE unsigned shared_address(const void* address) {
  return static_cast<unsigned>(__cvta_generic_to_shared(address));
}
}  // namespace detail
#endif

/// Starts a copy of 16 bytes from global to shared memory, both 16-byte aligned; the first `source_bytes` (0 to 16) are
/// read, the rest becomes zero. `global` stays a valid address even for 0. The data is there for this thread after
/// cp_async_wait(), for others after a barrier behind that. sm_75 copies at once.
RESNET_DEVICE void cp_async16(void* shared, const void* global, int source_bytes = 16 RESNET_SITE) {
#if !defined(__CUDACC__)
  sim::cp_async(shared, global, 16, source_bytes, site);
#elif RESNET_ON_GPU && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(detail::shared_address(shared)), "l"(global),
               "r"(source_bytes)
               : "memory");
#else
  // Callers pass 0 or 16, or the bytes of whole elements at the end of a row.
  unsigned char bytes[16];
  uint4 value = make_uint4(0, 0, 0, 0);
  if (source_bytes == 16) {
    value = *static_cast<const uint4*>(global);
  } else if (source_bytes > 0) {
    RESNET_UNROLL
    for (int i = 0; i < 16; ++i) bytes[i] = i < source_bytes ? static_cast<const unsigned char*>(global)[i] : 0;
    memcpy(&value, bytes, 16);
  }
  *static_cast<uint4*>(shared) = value;
#endif
}

/// The same for 4 bytes (`source_bytes` 0 or 4).
RESNET_DEVICE void cp_async4(void* shared, const void* global, int source_bytes = 4 RESNET_SITE) {
#if !defined(__CUDACC__)
  sim::cp_async(shared, global, 4, source_bytes, site);
#elif RESNET_ON_GPU && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(detail::shared_address(shared)), "l"(global),
               "r"(source_bytes)
               : "memory");
#else
  *static_cast<std::uint32_t*>(shared) = source_bytes == 4 ? *static_cast<const std::uint32_t*>(global) : 0u;
#endif
}

/// Closes this thread's group of copies. An empty group counts too.
RESNET_DEVICE void cp_async_commit(RESNET_SITE_ONLY) {
#if !defined(__CUDACC__)
  sim::cp_async_commit(site);
#elif RESNET_ON_GPU && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most the `newest_pending` newest groups of this thread are still in flight.
template <int newest_pending>
RESNET_DEVICE void cp_async_wait(RESNET_SITE_ONLY) {
#if !defined(__CUDACC__)
  sim::cp_async_wait(newest_pending, site);
#elif RESNET_ON_GPU && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(newest_pending) : "memory");
#endif
}

/// Adds and returns the value before, ordered among all blocks: what this thread knows of before is visible to whoever
/// reads this result with an atomic of this file afterwards. For data of other threads of the block, put a barrier
/// before and after.
RESNET_DEVICE std::uint32_t atomic_add(std::uint32_t* address, std::uint32_t value RESNET_SITE) {
#if !defined(__CUDACC__)
  return sim::atomic_add(address, value, site);
#elif RESNET_ON_GPU
  __threadfence();
  const std::uint32_t before = atomicAdd(address, value);
  __threadfence();
  return before;
#else
  return 0;
#endif
}

/// Not for inside kernels: stops the grid with an error.
RESNET_DEVICE void trap(const char* reason RESNET_SITE) {
#if !defined(__CUDACC__)
  sim::trap(reason, site);
#elif RESNET_ON_GPU
  static_cast<void>(reason);
  __trap();
#endif
}

}  // namespace resnet::dev
