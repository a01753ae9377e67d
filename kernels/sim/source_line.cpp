#include "kernels/sim/source_line.hpp"

#include <cstdint>
#include <map>
#include <mutex>

#if RESNET_SIM_HAVE_BACKTRACE
#include <backtrace.h>
#endif

namespace resnet::sim {

#if RESNET_SIM_HAVE_BACKTRACE
namespace {

void ignore_error(void*, const char*, int) {}

/// Called for every inlined frame, innermost first; the first is the line of the access.
int take_first(void* data, std::uintptr_t, const char* file, int line, const char*) {
  auto& result = *static_cast<SourceLine*>(data);
  if (!file) return 0;
  result = {file, static_cast<unsigned>(line)};
  return 1;
}

}  // namespace

SourceLine source_line(const void* return_address) {
  static std::mutex mutex;
  static backtrace_state* const state = backtrace_create_state(nullptr, 1, ignore_error, nullptr);
  static std::map<const void*, SourceLine> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(return_address);
  if (found != known.end()) return found->second;
  SourceLine result;
  backtrace_pcinfo(state, reinterpret_cast<std::uintptr_t>(return_address) - 1, take_first, ignore_error, &result);
  return known[return_address] = result;
}
#else
SourceLine source_line(const void*) { return {}; }
#endif

}  // namespace resnet::sim
