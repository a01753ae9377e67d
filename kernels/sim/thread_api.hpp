#pragma once

#include <cstddef>
#include <cstdint>

/// What a kernel's building blocks (kernels/device) call when they run on the host. One CUDA thread is one fiber; all
/// fibers of an emulated device run on the thread that executes its work.
namespace resnet::sim {

/// Where a kernel called a building block.
struct Site {
  const char* file;
  unsigned line;
  static constexpr Site here(const char* f = __builtin_FILE(), unsigned l = __builtin_LINE()) { return {f, l}; }
};

struct Index3 {
  unsigned x, y, z;
};

struct Thread {
  unsigned thread;   ///< in the block; blocks are one-dimensional
  unsigned threads;  ///< per block
  Index3 block, grid;
};
/// The fiber that runs now on this host thread, null outside kernels.
extern constinit thread_local const Thread* current;

// Barriers. `count`: threads that take part, a multiple of 32.
void sync_threads(Site site);
void sync_named(int id, int count, Site site);
void arrive_named(int id, int count, Site site);
void sync_warp(std::uint32_t mask, Site site);

// Warp collectives. Every lane of `mask` must call with the same mask and operation.
enum class Shuffle : std::uint8_t { index, down, exclusive_or };
std::uint32_t shuffle(Shuffle kind, std::uint32_t mask, std::uint32_t value, int argument, int width, Site site);
std::uint32_t ballot(std::uint32_t mask, bool predicate, Site site);

/// `count` times ldmatrix.x4: `rows[i]` is this lane's row address of load i, `registers` takes 4 * count words.
void ldmatrix_x4(std::uint32_t* registers, const void* const* rows, int count, Site site);

/// rows x columns independent mma.sync of one warp: c[i][j] += a[i] * b[j], c with 4 registers, a with 4, b with 2.
enum class MmaType : std::uint8_t { f16, bf16, tf32, s8 };
void mma(MmaType type, void* c, const std::uint32_t* a, const std::uint32_t* b, int rows, int columns, Site site);

/// Dynamic shared memory: the next region of the block, the same one for every thread. Regions have poisoned gaps.
void* shared_allocate(std::size_t bytes, std::size_t alignment, Site site);

// Checked 16-byte accesses: alignment, bounds, initialised, races.
void load16(std::uint32_t (&words)[4], const void* address, Site site);
void store16(void* address, const std::uint32_t (&words)[4], Site site);
/// The same for 4 and 8 bytes.
void load_bytes(void* destination, const void* address, std::size_t bytes, Site site);
void store_bytes(void* address, const void* source, std::size_t bytes, Site site);

// cp.async: 4, 8 or 16 bytes; the first `source_bytes` are copied, the rest becomes zero.
void cp_async(void* shared, const void* global, int bytes, int source_bytes, Site site);
void cp_async_commit(Site site);
void cp_async_wait(int newest_pending, Site site);

// Global atomics between blocks: release of what this thread knows, acquire of what was released there.
std::uint32_t atomic_add(std::uint32_t* address, std::uint32_t value, Site site);

[[noreturn]] void trap(const char* reason, Site site);

}  // namespace resnet::sim
