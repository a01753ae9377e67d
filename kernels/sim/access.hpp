#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/sim/thread_api.hpp"

/// Checks of single memory accesses, for kernels that were compiled with hooks: bounds, initialised bytes, races.
namespace resnet::sim {

/// Where an access came from: a return address of instrumented code, or a building block's caller.
struct Origin {
  const void* pc = nullptr;
  Site site = {"", 0};
  bool library_call = false;  ///< memcpy and the like: maybe the emulator's own, inside a building block
};

/// Whether the executable has instrumented code, so that shadow memory is kept.
bool hooks_linked();
void set_hooks_linked();

// Shadow of device memory and of the block's shared memory. Without instrumented code these do nothing.
void shadow_allocated(const void* data, std::size_t bytes);
void shadow_released(const void* data, std::size_t bytes);
void shadow_initialised(const void* data, std::size_t bytes);
void shadow_copied(const void* to, const void* from, std::size_t bytes);
/// The buffer of shared memory, once.
void shadow_shared_buffer(const std::byte* data, std::size_t bytes);

/// Whether the running fiber may touch these bytes of the host's memory: its stack, the launch's argument, memory of
/// cudaMallocHost, and the executable's constants and variables.
bool is_host_memory_of_kernel(const void* address, std::size_t bytes);
bool is_kernel_memory(const void* address);
/// Ends the grid.
[[noreturn]] void report_misaligned(const void* address, std::size_t bytes, const void* pc);

enum class Access : std::uint8_t { read, write, atomic };
/// Checks and remembers an access of the running fiber. Ends the grid where the access leaves its region or a GPU could
/// not reach the memory.
void check_access(const void* address, std::size_t bytes, Access access, const Origin& origin);

/// A copy into shared memory begins, and ends because its thread waited.
void check_copy_begin(const void* shared, const void* global, std::size_t bytes, std::size_t source_bytes, Site site);
void check_copy_end(const void* shared, const void* global, std::size_t bytes, std::size_t source_bytes);

}  // namespace resnet::sim
