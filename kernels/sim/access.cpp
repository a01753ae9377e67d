#include "kernels/sim/access.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <vector>

#include "kernels/sim/block.hpp"
#include "kernels/sim/memory.hpp"
#include "kernels/sim/runtime.hpp"

// The linker's names for the first byte of the executable and the one behind its last.
extern "C" const char __executable_start, _end;

namespace resnet::sim {
namespace {

bool is_null(const void* address) {
  constexpr std::uintptr_t never_mapped = 65536;
  return reinterpret_cast<std::uintptr_t>(address) < never_mapped;
}

// One state per byte.
constexpr std::uint8_t allocated = 1, initialised = 2, in_flight = 4;

/// The last accesses to a word (or to a byte of it): the last write, the last read, and of the reads since that write
/// the last one by another lane, by another warp, by another block.
struct Cell {
  Stamp write;
  Stamp reads[4];
};
/// In Cell::write: the word's bytes have cells of their own, number reads[0].
constexpr Stamp split_mark = ~Stamp{0};

void* reserve(std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

/// Shadow of a range of addresses. Zero pages are no memory, so reserving is free.
struct Shadow {
  std::uintptr_t first = 0;
  std::size_t bytes = 0;
  std::uint8_t* states = nullptr;
  Cell* cells = nullptr;  ///< per word

  void create(const std::byte* data, std::size_t size) {
    first = reinterpret_cast<std::uintptr_t>(data);
    states = static_cast<std::uint8_t*>(reserve(size));
    cells = static_cast<Cell*>(reserve(size / 4 * sizeof(Cell)));
    bytes = size;
  }
  bool contains(std::uintptr_t address) const { return address - first < bytes; }
};

bool linked = false;
Shadow device, shared_memory;
std::vector<std::array<Cell, 4>> split_cells;
std::vector<std::uint32_t> free_split_cells;

Shadow* shadow_of(std::uintptr_t address) {
  if (device.contains(address)) return &device;
  if (shared_memory.contains(address)) return &shared_memory;
  return nullptr;
}

void set_states(const void* data, std::size_t bytes, std::uint8_t state) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  if (Shadow* const shadow = shadow_of(address)) std::memset(shadow->states + (address - shadow->first), state, bytes);
}

/// States of a sparse allocation are written when they are first looked at.
bool in_sparse_allocation(const void* address, std::size_t bytes) {
  const Allocation* const allocation = device_memory().find(address, bytes);
  return allocation && allocation->sparse();
}

constexpr std::uintptr_t page = 4096;

/// The whole pages in [begin, end) become zero and cost no memory.
void give_back(const void* begin, const void* end) {
  const auto first = (reinterpret_cast<std::uintptr_t>(begin) + page - 1) / page * page;
  const auto last = reinterpret_cast<std::uintptr_t>(end) / page * page;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

const char* name_of(Access access) {
  return access == Access::read ? "a read" : access == Access::write ? "a write" : "an atomic";
}

void report_access(ReportKind kind, const Origin& origin, const std::string& message) {
  if (origin.pc) {
    add_report(kind, origin.pc, message);
  } else {
    add_report(kind, origin.site.file, origin.site.line, message);
  }
}

void report_race(const Cell& cell, Stamp other, const void* address, std::size_t bytes, Access access, bool in_shared,
                 const Origin& origin) {
  const Reporting reporting;
  std::ostringstream text;
  const Index3 block = running_block->clocks().block_of(other);
  text << name_of(access) << " of " << bytes << " bytes in " << (in_shared ? "shared" : "device") << " memory at "
       << address << " is not ordered with "
       << (other == cell.write ? is_atomic(other) ? "an atomic" : "a write" : "a read") << " by thread "
       << thread_of(other) << " of block (" << block.x << "," << block.y << "," << block.z << ")";
  report_access(ReportKind::race, origin, text.str());
}

/// What is the same for all words of one access.
struct Check {
  const Clocks& clocks;
  unsigned thread;
  Stamp stamp;
  Access access;
  bool shared;
  const void* address;
  std::size_t bytes;
  const Origin& origin;
  bool raced = false;  ///< one report per access is enough
};

void race(Check& check, const Cell& cell, Stamp other) {
  if (check.raced) return;
  check.raced = true;
  report_race(cell, other, check.address, check.bytes, check.access, check.shared, check.origin);
}

void read_cell(Check& check, Cell& cell) {
  Stamp& last = cell.reads[0];
  if (last == check.stamp) return;
  if (cell.write != 0 && !check.clocks.ordered(cell.write, check.thread, check.shared)) race(check, cell, cell.write);
  if (last != 0) {
    const std::uint32_t segment = segment_of(last);
    if (segment < check.clocks.block_first()) {
      cell.reads[3] = last;
      cell.reads[1] = cell.reads[2] = 0;
    } else if (segment < segment_of(check.stamp)) {
      cell.reads[1] = cell.reads[2] = 0;
    } else if (thread_of(last) != check.thread) {
      cell.reads[thread_of(last) / 32 == check.thread / 32 ? 1 : 2] = last;
    }
  }
  last = check.stamp;
}

void write_cell(Check& check, Cell& cell) {
  const bool atomic = check.access == Access::atomic;
  const Stamp stamp = check.stamp | (atomic ? 1u : 0u);
  if (cell.write != 0 && cell.write != stamp && !(atomic && is_atomic(cell.write)) &&
      !check.clocks.ordered(cell.write, check.thread, check.shared)) {
    race(check, cell, cell.write);
  }
  if (cell.reads[0] != 0) {
    for (Stamp& read : cell.reads) {
      if (read != 0 && !check.clocks.ordered(read, check.thread, check.shared)) race(check, cell, read);
      read = 0;
    }
  }
  cell.write = stamp;
}

void touch_cell(Check& check, Cell& cell) {
  if (check.access == Access::read) {
    read_cell(check, cell);
  } else {
    write_cell(check, cell);
  }
}

/// Bytes [first, last) of the word.
void touch_part(Check& check, Cell& word, std::size_t first, std::size_t last) {
  if (word.write != split_mark) {
    std::uint32_t number = 0;
    if (free_split_cells.empty()) {
      number = static_cast<std::uint32_t>(split_cells.size());
      split_cells.emplace_back();
    } else {
      number = free_split_cells.back();
      free_split_cells.pop_back();
    }
    split_cells[number].fill(word);
    word.write = split_mark;
    word.reads[0] = number;
  }
  const auto number = static_cast<std::uint32_t>(word.reads[0]);
  for (std::size_t i = first; i < last; ++i) touch_cell(check, split_cells[number][i]);
  if (last - first == 4 && check.access != Access::read) {
    word = split_cells[number][0];
    free_split_cells.push_back(number);
  }
}

void touch(Check& check, Shadow& shadow, std::uintptr_t address, std::size_t bytes) {
  const std::size_t offset = address - shadow.first;
  const std::size_t end = offset + bytes;
  for (std::size_t word = offset / 4; word * 4 < end; ++word) {
    Cell& cell = shadow.cells[word];
    const std::size_t first = word * 4 < offset ? offset - word * 4 : 0;
    const std::size_t last = std::min<std::size_t>(4, end - word * 4);
    if (last - first == 4 && cell.write != split_mark) {
      touch_cell(check, cell);
    } else {
      touch_part(check, cell, first, last);
    }
  }
}

[[noreturn]] void leave() { running_block->abandon(); }

/// Something about the states of these bytes is not as it should be.
void bad_state(const std::uint8_t* states, std::size_t bytes, const void* address, Access access, bool in_shared,
               const Origin& origin, bool& fatal) {
  const Reporting reporting;
  std::ostringstream text;
  text << name_of(access) << " of " << bytes << " bytes at " << address << " in " << (in_shared ? "shared" : "device")
       << " memory ";
  fatal = false;
  if (std::any_of(states, states + bytes, [](std::uint8_t state) { return (state & allocated) == 0; })) {
    text << "leaves its region";
    report_access(ReportKind::out_of_bounds, origin, text.str());
    fatal = true;
  } else if (std::any_of(states, states + bytes, [](std::uint8_t state) { return (state & in_flight) != 0; })) {
    text << "touches the target of a copy that its thread has not waited for";
    report_access(ReportKind::async_copy, origin, text.str());
  } else if (access != Access::write) {
    text << "finds bytes that nobody wrote";
    report_access(ReportKind::uninitialised, origin, text.str());
  }
}

/// Whether all bytes have this state; `bytes` is small.
bool all_are(const std::uint8_t* states, std::size_t bytes, std::uint8_t state) {
  std::uint8_t different = 0;
  for (std::size_t i = 0; i < bytes; ++i) different |= states[i] ^ state;
  return different == 0;
}

}  // namespace

bool hooks_linked() { return linked; }
void set_hooks_linked() { linked = true; }

void shadow_allocated(const void* data, std::size_t bytes) {
  if (!linked) return;
  if (device.bytes == 0) device.create(device_memory().base(), DeviceMemory::range_bytes);
  set_states(data, bytes, allocated);
}

void shadow_released(const void* data, std::size_t bytes) {
  if (!linked) return;
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  if (!device.contains(address)) return set_states(data, bytes, 0);
  const std::size_t offset = address - device.first;
  std::uint8_t* const states = device.states + offset;
  const std::size_t edge = std::min<std::size_t>(bytes, page);
  std::memset(states, 0, edge);
  give_back(states, states + bytes);
  std::memset(states + bytes - edge, 0, edge);
  give_back(device.cells + offset / 4, device.cells + (offset + bytes) / 4);
}

void shadow_initialised(const void* data, std::size_t bytes) {
  if (linked) set_states(data, bytes, allocated | initialised);
}

void shadow_copied(const void* to, const void* from, std::size_t bytes) {
  if (!linked) return;
  const auto target = reinterpret_cast<std::uintptr_t>(to), source = reinterpret_cast<std::uintptr_t>(from);
  if (!device.contains(target)) return;
  if (device.contains(source) && !in_sparse_allocation(from, bytes)) {
    std::memmove(device.states + (target - device.first), device.states + (source - device.first), bytes);
  } else {
    set_states(to, bytes, allocated | initialised);
  }
}

void shadow_shared_buffer(const std::byte* data, std::size_t bytes) {
  if (linked && shared_memory.bytes == 0) shared_memory.create(data, bytes);
}

bool is_host_memory_of_kernel(const void* address, std::size_t bytes) {
  const auto where = reinterpret_cast<std::uintptr_t>(address);
  const auto inside = [&](const void* data, std::size_t size) {
    const std::uintptr_t offset = where - reinterpret_cast<std::uintptr_t>(data);
    return offset < size && bytes <= size - offset;
  };
  const Stack& stack = self().stack;
  if (inside(stack.bottom, stack.bytes)) return true;
  // What thread_index() and its kin read.
  if (inside(current, sizeof *current) || inside(&current, sizeof current)) return true;
  const auto image = reinterpret_cast<std::uintptr_t>(&__executable_start);
  if (where >= image && where < reinterpret_cast<std::uintptr_t>(&_end)) return true;
  const std::span<const std::byte> arguments = running_block->launch().arguments;
  if (inside(arguments.data(), arguments.size())) return true;
  // Work runs with the mutex held.
  return runtime().is_pinned(address, bytes);
}

bool is_kernel_memory(const void* address) { return shadow_of(reinterpret_cast<std::uintptr_t>(address)) != nullptr; }

void report_misaligned(const void* address, std::size_t bytes, const void* pc) {
  const Reporting reporting;
  {
    std::ostringstream text;
    text << "an access of " << bytes << " bytes at " << address;
    add_report(ReportKind::misaligned, pc, text.str());
  }
  leave();
}

void check_access(const void* address, std::size_t bytes, Access access, const Origin& origin) {
  if (bytes == 0) return;
  const auto where = reinterpret_cast<std::uintptr_t>(address);
  Shadow* const shadow = shadow_of(where);
  if (!shadow) {
    const bool null = is_null(address);
    if (Reporting::depth > 0) return;
    if (!null && (origin.library_call || is_host_memory_of_kernel(address, bytes))) return;
    const Reporting reporting;
    report_access(ReportKind::out_of_bounds, origin,
                  std::string(name_of(access)) + (null ? " through a null pointer" : " of the host's memory"));
    leave();
  }
  const bool in_shared = shadow == &shared_memory;
  std::uint8_t* const states = shadow->states + (where - shadow->first);
  if (!all_are(states, bytes, allocated | initialised)) {
    bool fatal = false;
    if (in_shared || !in_sparse_allocation(address, bytes))
      bad_state(states, bytes, address, access, in_shared, origin, fatal);
    if (fatal) leave();
    // Said once; and what is written is initialised from now on.
    std::memset(states, allocated | initialised, bytes);
  }
  Block& block = *running_block;
  const unsigned thread = current->thread;
  if (access == Access::write && !in_shared) block.check_pending_sources(address, bytes, origin);
  Check check{block.clocks(), thread, block.clocks()[thread].stamp, access, in_shared, address, bytes, origin};
  touch(check, *shadow, where, bytes);
}

void check_copy_begin(const void* shared, const void* global, std::size_t bytes, std::size_t source_bytes, Site site) {
  const Origin origin{nullptr, site};
  check_access(global, source_bytes, Access::read, origin);
  check_access(shared, bytes, Access::write, origin);
  set_states(shared, bytes, allocated | in_flight);
}

void check_copy_end(const void* shared, const void* global, std::size_t bytes, std::size_t source_bytes) {
  set_states(shared, bytes, allocated | initialised);
  const Block& block = *running_block;
  const unsigned thread = current->thread;
  const Origin origin;
  const Stamp stamp = block.clocks()[thread].stamp;
  Check target{block.clocks(), thread, stamp, Access::write, true, shared, bytes, origin, true};
  touch(target, shared_memory, reinterpret_cast<std::uintptr_t>(shared), bytes);
  if (source_bytes == 0) return;
  Check source{block.clocks(), thread, stamp, Access::read, false, global, source_bytes, origin, true};
  touch(source, device, reinterpret_cast<std::uintptr_t>(global), source_bytes);
}

}  // namespace resnet::sim
