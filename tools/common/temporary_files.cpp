#include "common/temporary_files.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <climits>
#include <cstring>

#include "common/tool_error.hpp"

namespace resnet::tools {
namespace {

enum class State : int { free, claimed, active };

/// Fixed memory: a signal handler may neither allocate nor lock.
struct Slot {
  std::atomic<State> state{State::free};
  pid_t owner = 0;  // a forked child inherits the list and must leave its parent's files alone
  char path[PATH_MAX] = {};
};
static_assert(std::atomic<State>::is_always_lock_free);
std::array<Slot, 64> slots;

}  // namespace

std::size_t remember_temporary_file(const std::string& path) {
  if (path.size() >= PATH_MAX) throw OutputError(path + ": the path is too long");
  for (std::size_t i = 0; i < slots.size(); ++i) {
    State expected = State::free;
    if (!slots[i].state.compare_exchange_strong(expected, State::claimed)) continue;
    slots[i].owner = getpid();
    std::memcpy(slots[i].path, path.c_str(), path.size() + 1);
    slots[i].state = State::active;
    return i;
  }
  throw OutputError("more than " + std::to_string(slots.size()) + " files are being written at once");
}

void forget_temporary_file(std::size_t slot) noexcept { slots[slot].state = State::free; }

void remove_temporary_files() noexcept {
  for (const Slot& slot : slots) {
    if (slot.state == State::active && slot.owner == getpid()) unlink(slot.path);
  }
}

}  // namespace resnet::tools
