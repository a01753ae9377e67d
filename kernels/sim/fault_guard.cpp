#include "kernels/sim/fault_guard.hpp"

#include <ucontext.h>

#include <array>
#include <utility>

#include "kernels/sim/block.hpp"
#include "kernels/sim/memory.hpp"

namespace resnet::sim {
namespace {

constexpr std::array signals = {SIGSEGV, SIGBUS};
std::array<struct sigaction, signals.size()> old_actions;
// A fiber that left its stack has none for the handler.
alignas(64) std::array<std::byte, 64 * 1024> handler_stack;

/// `pc`: in the kernel, or null.
void describe(const void* address, const void* pc) {
  std::ostringstream text;
  const Stack& stack = self().stack;
  const auto* const where = static_cast<const std::byte*>(address);
  if (where < stack.bottom && stack.bottom - where <= 65536) {
    text << "the thread's stack of " << stack.bytes << " bytes overflows";
  } else {
    text << "an access at " << address << ", where "
         << (device_memory().contains(address) ? "no allocation is" : "no memory is");
  }
  if (pc) {
    add_report(ReportKind::out_of_bounds, pc, text.str());
  } else {
    add_report(ReportKind::out_of_bounds, "", 0, text.str());
  }
}

void on_fault(int signal, siginfo_t* info, void* context) {
  const bool serving = !current && served;
  if (serving) current = std::exchange(served, nullptr);
  if (!current) {
    // Not a kernel's: happens again behind this return, without us.
    for (std::size_t i = 0; i < signals.size(); ++i)
      if (signals[i] == signal) sigaction(signal, &old_actions[i], nullptr);
    return;
  }
  const void* pc = nullptr;
#if defined(__x86_64__)
  // add_report() takes a return address, one behind the instruction's first byte.
  const auto instruction = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  if (!serving) pc = reinterpret_cast<const void*>(instruction + 1);
#else
  static_cast<void>(context);
#endif
  describe(info->si_addr, pc);
  running_block->abandon();
}

}  // namespace

FaultGuard::FaultGuard() {
  stack_t stack = {};
  stack.ss_sp = handler_stack.data();
  stack.ss_size = handler_stack.size();
  sigaltstack(&stack, &old_stack_);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  // The handler never returns where it ends a grid: the signal must not stay blocked.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &action, &old_actions[i]);
}

FaultGuard::~FaultGuard() {
  for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &old_actions[i], nullptr);
  sigaltstack(&old_stack_, nullptr);
}

}  // namespace resnet::sim
