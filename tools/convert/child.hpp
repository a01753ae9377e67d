#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace resnet::convert {

struct ChildLimits {
  std::uint64_t memory_bytes = 0;  ///< on top of what this process has
  std::uint64_t cpu_seconds = 0;
  std::uint64_t wall_ms = 0;  ///< until the child must have ended
  std::uint64_t report_bytes = 64u << 20;
  std::uint64_t data_bytes = 0;  ///< largest result
};

/// Limits for a source file of that size: 64 MiB + 3 x file of memory; time far above what a conversion needs.
ChildLimits limits_for(std::uint64_t file_bytes);

/// What the child's work makes; the pieces of `data` are sent one after the other, without being joined before.
struct ChildOutput {
  std::string report;
  std::vector<std::vector<std::byte>> data;
};
/// What arrives.
struct ChildResult {
  std::string report;
  std::vector<std::byte> data;
};

/// Runs `work` in a forked child inside the sandbox and returns what it returned. `keep` are the descriptors that it
/// may use. Call from a process with one thread.
/// @throws the Error that `work` threw (codes, texts and all), its place behind `where` unless it starts with that or
/// with one of `others`; or Error import_failed naming `where` when the child died, stalled, or used more than `limits`
ChildResult run_limited(const std::function<ChildOutput()>& work, const ChildLimits& limits, std::vector<int> keep,
                        const std::string& where, const std::vector<std::string>& others = {});

}  // namespace resnet::convert
