#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

/// Device memory: regions of one reserved range of addresses, each with canaries on both sides.
namespace resnet::sim {

struct Allocation {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  int device = 0;
  std::byte* slot = nullptr;  ///< with the canaries
  std::size_t slot_bytes = 0;

  /// So large that nothing may go over all of it: it begins as zeros of pages that the system has not given yet, and
  /// counts as written.
  bool sparse() const { return bytes >= std::size_t{1} << 30; }
};

class DeviceMemory {
 public:
  DeviceMemory();
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  /// Filled with NaN patterns unless sparse; null when the range is used up.
  std::byte* allocate(std::size_t bytes, int device);
  /// False where `data` is no allocation.
  bool release(void* data);
  void release_all();

  /// The region that holds [address, address + bytes), or null.
  const Allocation* find(const void* address, std::size_t bytes) const;
  /// Whether the address lies in the range, allocated or not.
  bool contains(const void* address) const {
    return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(base_) < range_bytes;
  }
  /// Reports every changed canary and restores it.
  void check_canaries();
  /// For kernels that no hooks watch: whatever they left counts as written.
  void count_as_initialised() const;
  std::size_t used(int device) const;

  static constexpr std::size_t range_bytes = std::size_t{1} << 38;
  /// Below the first allocation: a wrapped index must not reach the host's memory.
  static constexpr std::size_t guard_bytes = std::size_t{1} << 36;
  static constexpr std::size_t canary_bytes = 4096;
  std::byte* base() const { return base_; }

 private:
  void check_canaries(const Allocation& allocation);

  std::byte* base_ = nullptr;
  std::size_t next_ = guard_bytes;
  std::map<const std::byte*, Allocation> allocations_;
  std::multimap<std::size_t, std::byte*> free_slots_;
};

/// The one of the process; guarded by the mutex of the CUDA calls.
DeviceMemory& device_memory();

}  // namespace resnet::sim
