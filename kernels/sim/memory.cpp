#include "kernels/sim/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "kernels/sim/access.hpp"
#include "kernels/sim/internal.hpp"

namespace resnet::sim {
namespace {

constexpr std::size_t page = 4096;

std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

}  // namespace

DeviceMemory::DeviceMemory() {
  void* const range = mmap(nullptr, range_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<std::byte*>(range);
}

DeviceMemory::~DeviceMemory() { munmap(base_, range_bytes); }

std::byte* DeviceMemory::allocate(std::size_t bytes, int device) {
  if (bytes > range_bytes / 4) return nullptr;
  // A page between neighbours stays without access.
  const std::size_t used_bytes = canary_bytes + round_up(bytes, page) + canary_bytes;
  Allocation allocation{nullptr, bytes, device, nullptr, used_bytes + page};
  // Fresh addresses first, so that late accesses to released memory are found; large ones would use up the range.
  const bool fresh = next_ + allocation.slot_bytes <= range_bytes;
  const auto found = fresh && !allocation.sparse() ? free_slots_.end() : free_slots_.lower_bound(allocation.slot_bytes);
  if (found != free_slots_.end()) {
    allocation.slot_bytes = found->first;
    allocation.slot = found->second;
    free_slots_.erase(found);
  } else if (fresh) {
    allocation.slot = base_ + next_;
    next_ += allocation.slot_bytes;
  } else {
    return nullptr;
  }
  std::byte* const slot = allocation.slot;
  if (mprotect(slot, used_bytes, PROT_READ | PROT_WRITE) != 0) {
    free_slots_.emplace(allocation.slot_bytes, slot);
    return nullptr;
  }
  std::byte* const data = slot + canary_bytes;
  std::memset(slot, canary, canary_bytes);
  if (!allocation.sparse()) std::memset(data, poison, bytes);
  std::memset(data + bytes, canary, used_bytes - canary_bytes - bytes);
  shadow_allocated(data, allocation.sparse() ? 0 : bytes);
  allocation.data = data;
  allocations_[data] = allocation;
  return data;
}

bool DeviceMemory::release(void* data) {
  const auto found = allocations_.find(static_cast<std::byte*>(data));
  if (found == allocations_.end()) return false;
  const Allocation allocation = found->second;
  check_canaries(allocation);
  allocations_.erase(found);
  shadow_released(allocation.data, allocation.bytes);
  madvise(allocation.slot, allocation.slot_bytes, MADV_DONTNEED);
  mprotect(allocation.slot, allocation.slot_bytes, PROT_NONE);
  free_slots_.emplace(allocation.slot_bytes, allocation.slot);
  return true;
}

void DeviceMemory::release_all() {
  while (!allocations_.empty()) release(const_cast<std::byte*>(allocations_.begin()->first));
}

const Allocation* DeviceMemory::find(const void* address, std::size_t bytes) const {
  const auto* const first = static_cast<const std::byte*>(address);
  auto after = allocations_.upper_bound(first);
  if (after == allocations_.begin()) return nullptr;
  const Allocation& allocation = std::prev(after)->second;
  const auto offset = static_cast<std::size_t>(first - allocation.data);
  if (offset > allocation.bytes || bytes > allocation.bytes - offset) return nullptr;
  return &allocation;
}

void DeviceMemory::check_canaries(const Allocation& allocation) {
  const auto check = [&](std::byte* first, std::byte* last, const char* where) {
    const auto changed = [](std::byte value) { return value != std::byte{canary}; };
    std::byte* const bad = std::find_if(first, last, changed);
    if (bad == last) return;
    report(ReportKind::canary, Site{"", 0}, "byte ", bad - allocation.data, " ", where, " an allocation of ",
           allocation.bytes, " bytes was written");
    std::memset(first, canary, static_cast<std::size_t>(last - first));
  };
  check(allocation.slot, allocation.data, "before");
  std::byte* const end = allocation.data + allocation.bytes;
  check(end, end + (round_up(allocation.bytes, page) - allocation.bytes) + canary_bytes, "after");
}

void DeviceMemory::check_canaries() {
  for (const auto& [data, allocation] : allocations_) check_canaries(allocation);
}

void DeviceMemory::count_as_initialised() const {
  if (!hooks_linked()) return;
  for (const auto& [data, allocation] : allocations_)
    if (!allocation.sparse()) shadow_initialised(allocation.data, allocation.bytes);
}

std::size_t DeviceMemory::used(int device) const {
  std::size_t sum = 0;
  for (const auto& [data, allocation] : allocations_)
    if (allocation.device == device) sum += allocation.bytes;
  return sum;
}

DeviceMemory& device_memory() {
  static DeviceMemory memory;
  return memory;
}

}  // namespace resnet::sim
