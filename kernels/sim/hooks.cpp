#include <cstddef>
#include <cstdint>

#include "kernels/sim/access.hpp"
#include "kernels/sim/block.hpp"

// What -fsanitize=thread makes the compiler call at every memory access. Linked in place of the thread sanitizer's
// library. Host code outside kernels passes at the first test.

using resnet::sim::Access;
using resnet::sim::check_access;
using resnet::sim::current;
using resnet::sim::Origin;
using resnet::sim::report_misaligned;

namespace {

template <std::size_t bytes, Access access>
inline void hook(const void* address, const void* pc) {
  if (!current) return;
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0 && resnet::sim::is_kernel_memory(address)) {
    report_misaligned(address, bytes, pc);
  }
  check_access(address, bytes, access, Origin{pc});
}

template <Access access>
inline void hook_range(const void* address, std::size_t bytes, const void* pc) {
  if (current && bytes > 0) check_access(address, bytes, access, Origin{pc});
}

}  // namespace

#pragma GCC diagnostic ignored "-Wmissing-declarations"
#define RESNET_SIM_PC __builtin_return_address(0)
// clang-format off
extern "C" {
void __tsan_init() { resnet::sim::set_hooks_linked(); }
void __tsan_func_entry(void*) { if (current) resnet::sim::running_block->set_checked(); }
void __tsan_func_exit(void*) {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define RESNET_SIM_HOOKS(bytes)                                                                                        \
  void __tsan_read##bytes(void* p) { hook<bytes, Access::read>(p, RESNET_SIM_PC); }                                    \
  void __tsan_write##bytes(void* p) { hook<bytes, Access::write>(p, RESNET_SIM_PC); }                                  \
  void __tsan_volatile_read##bytes(void* p) { hook<bytes, Access::read>(p, RESNET_SIM_PC); }                           \
  void __tsan_volatile_write##bytes(void* p) { hook<bytes, Access::write>(p, RESNET_SIM_PC); }                         \
  void __tsan_read_write##bytes(void* p) {                                                                             \
    hook<bytes, Access::read>(p, RESNET_SIM_PC);                                                                       \
    hook<bytes, Access::write>(p, RESNET_SIM_PC);                                                                      \
  }                                                                                                                    \
  void __tsan_unaligned_read##bytes(void* p) { hook_range<Access::read>(p, bytes, RESNET_SIM_PC); }                    \
  void __tsan_unaligned_write##bytes(void* p) { hook_range<Access::write>(p, bytes, RESNET_SIM_PC); }                  \
  void __tsan_unaligned_volatile_read##bytes(void* p) { hook_range<Access::read>(p, bytes, RESNET_SIM_PC); }           \
  void __tsan_unaligned_volatile_write##bytes(void* p) { hook_range<Access::write>(p, bytes, RESNET_SIM_PC); }         \
  void __tsan_unaligned_read_write##bytes(void* p) {                                                                   \
    hook_range<Access::read>(p, bytes, RESNET_SIM_PC);                                                                 \
    hook_range<Access::write>(p, bytes, RESNET_SIM_PC);                                                                \
  }
RESNET_SIM_HOOKS(1)
RESNET_SIM_HOOKS(2)
RESNET_SIM_HOOKS(4)
RESNET_SIM_HOOKS(8)
RESNET_SIM_HOOKS(16)
#undef RESNET_SIM_HOOKS

void __tsan_read_range(void* p, std::size_t bytes) { hook_range<Access::read>(p, bytes, RESNET_SIM_PC); }
void __tsan_write_range(void* p, std::size_t bytes) { hook_range<Access::write>(p, bytes, RESNET_SIM_PC); }

// std::atomic in host code of instrumented files. Kernels have dev::atomic_add only.
#define RESNET_SIM_ATOMICS(bits, T)                                                                                    \
  T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }              \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }              \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }    \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }    \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) { return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST); }    \
  T __tsan_atomic##bits##_fetch_and(volatile T* p, T v, int) { return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); }    \
  T __tsan_atomic##bits##_fetch_or(volatile T* p, T v, int) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }      \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* e, T v, int, int) {                              \
    return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                            \
  }                                                                                                                    \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* e, T v, int, int) {                                \
    return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                            \
  }
RESNET_SIM_ATOMICS(8, std::uint8_t)
RESNET_SIM_ATOMICS(16, std::uint16_t)
RESNET_SIM_ATOMICS(32, std::uint32_t)
RESNET_SIM_ATOMICS(64, std::uint64_t)
#undef RESNET_SIM_ATOMICS
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}
}
// clang-format on
