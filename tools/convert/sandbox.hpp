#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace resnet::convert {

/// What a process that parses untrusted bytes may still use.
struct SandboxLimits {
  std::uint64_t memory_bytes = 0;  ///< address space on top of what the process has now; 0 = no limit
  std::uint64_t cpu_seconds = 0;   ///< 0 = no limit
};

/// Gives up, for ever and for this process: opening files and sockets (no descriptor can be made any more), growing
/// files, memory and CPU time beyond the limits, executing programs, and every system call that parsing does not need.
/// Closes all descriptors but `keep`. Call in a forked child. Lower limits of the process (ulimit) stay.
/// @return the limits that hold now
/// @throws Error internal when a limit cannot be set
SandboxLimits enter_sandbox(const SandboxLimits& limits, std::vector<int> keep);

/// Sanitizers reserve terabytes of address space and must be able to report: no memory limit, no system-call filter.
bool sandbox_is_weakened_by_sanitizer() noexcept;

}  // namespace resnet::convert
