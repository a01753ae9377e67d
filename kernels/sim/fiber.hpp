#pragma once

#include <atomic>
#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/sim/thread_api.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define RESNET_SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RESNET_SIM_ASAN 1
#endif
#endif
#if !defined(RESNET_SIM_ASAN)
#define RESNET_SIM_ASAN 0
#endif
#if RESNET_SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace resnet::sim {

struct Stack {
  std::byte* bottom = nullptr;  ///< above a page without access
  std::size_t bytes = 0;
};

/// A cp.async that has not landed.
struct PendingCopy {
  void* shared;
  const void* global;
  std::uint8_t bytes, source_bytes;
  bool landed;
  unsigned group;
  Site site;
};

/// A CUDA thread, or the host thread that runs the grid.
struct Fiber : Thread {
  enum class State : std::uint8_t { ready, waiting, exited };

  boost::context::detail::fcontext_t context = nullptr;
  Stack stack;
  void* sanitizer_stack = nullptr;

  State state = State::exited;
  const char* waits_for = "";
  Site waits_at = {"", 0};

  unsigned shared_regions = 0;      ///< shared_allocate() calls so far
  std::vector<PendingCopy> copies;  ///< in order of issue
  std::size_t first_copy = 0;       ///< of those still pending
  unsigned committed_groups = 0;

  /// Arguments and result of the warp collective that this lane waits in.
  struct Lane {
    const void* in[2];
    void* out;
    std::uint32_t value;
    int numbers[2];
  } lane;
};

inline Fiber& self() { return *static_cast<Fiber*>(const_cast<Thread*>(current)); }

/// The kernel's thread that the emulator works for, or null.
extern constinit thread_local const Thread* served;

/// While it lives, memory calls of this host thread are the emulator's own and not checked.
class OutsideKernel {
 public:
  // The fences keep the compiler from seeing that memcpy does not read `current`: the one that is linked does.
  OutsideKernel() : inside_(current) {
    served = current;
    current = nullptr;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ~OutsideKernel() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    current = inside_;
    served = nullptr;
  }
  OutsideKernel(const OutsideKernel&) = delete;
  OutsideKernel& operator=(const OutsideKernel&) = delete;

 private:
  const Thread* inside_;
};

/// Leaves `from` and continues `to`. Returns when somebody switches back.
inline void switch_fiber(Fiber& from, Fiber& to, bool from_is_done = false) {
#if RESNET_SIM_ASAN
  __sanitizer_start_switch_fiber(from_is_done ? nullptr : &from.sanitizer_stack, to.stack.bottom, to.stack.bytes);
#else
  static_cast<void>(from_is_done);
#endif
  const boost::context::detail::transfer_t back = boost::context::detail::jump_fcontext(to.context, &from);
  static_cast<Fiber*>(back.data)->context = back.fctx;
#if RESNET_SIM_ASAN
  __sanitizer_finish_switch_fiber(from.sanitizer_stack, nullptr, nullptr);
#endif
}

/// Stacks for all fibers of a block, made once.
class StackPool {
 public:
  StackPool() = default;
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  /// Stack number `index`.
  Stack get(unsigned index);

 private:
  struct Piece {
    void* address;
    std::size_t bytes;
  };
  std::vector<Piece> pieces_;
  std::vector<Stack> stacks_;
};

}  // namespace resnet::sim
