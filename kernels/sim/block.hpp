#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/sim/access.hpp"
#include "kernels/sim/clocks.hpp"
#include "kernels/sim/fiber.hpp"
#include "kernels/sim/internal.hpp"

namespace resnet::sim {

/// The block that runs now: its fibers, who is ready, barriers and warp collectives, shared memory. One object serves
/// all blocks of all launches.
class Block {
 public:
  static constexpr unsigned max_threads = 1024;

  Block();
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void start_grid(const Launch& launch);
  /// Runs one block to its end; false after a fault that stops the grid.
  bool run(Index3 index);

  const Launch& launch() const { return *launch_; }
  Random& random() { return random_; }
  Fiber& fiber(unsigned thread) { return fibers_[thread]; }
  unsigned threads() const { return threads_; }
  Index3 index() const { return index_; }
  bool is_fiber(const Thread* thread) const { return thread != &host_; }

  /// Puts the running fiber to sleep until wake().
  void wait(Fiber& me, const char* waits_for, Site site);
  void wake(Fiber& fiber);
  /// Ends the grid from inside a fiber; whoever calls it holds nothing that needs a destructor.
  [[noreturn]] void abandon();

  void sync_threads(Site site);
  void sync_named(int id, int count, bool waits, Site site);

  enum class Collective : std::uint8_t { sync, shuffle, ballot, ldmatrix, mma };
  struct Operation {
    Collective kind;
    std::uint8_t detail;  ///< Shuffle or MmaType
    std::uint32_t mask;
    Site site;
    int rows, columns;  ///< or width, or count
    /// Does the work for all lanes of the mask. `lanes` are the warp's 32 fibers.
    void (*execute)(Fiber* lanes, const Operation&);
  };
  /// Returns when all lanes of the mask are there and the operation is done.
  void rendezvous(Fiber& me, const Operation& operation);

  /// The kernel was compiled with access hooks.
  void set_checked() { checked_ = true; }
  bool checked() const { return checked_; }
  const Clocks& clocks() const { return clocks_; }
  void atomic(const void* address) { clocks_.atomic(address, current->thread); }

  /// Copies that threads have issued and not waited for.
  void add_pending_copy(const void* source, std::size_t bytes) {
    const auto first = reinterpret_cast<std::uintptr_t>(source);
    if (pending_copies_++ == 0) first_source_ = UINTPTR_MAX, end_source_ = 0;
    first_source_ = std::min(first_source_, first);
    end_source_ = std::max(end_source_, first + bytes);
  }
  void remove_pending_copy() { --pending_copies_; }
  /// Reports a write to what such a copy reads.
  void check_pending_sources(const void* address, std::size_t bytes, const Origin& origin);

  void* shared_allocate(std::size_t bytes, std::size_t alignment, Site site);
  bool in_shared_buffer(const void* address) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(address) - shared_) < shared_buffer_bytes;
  }

 private:
  struct Barrier {
    unsigned arrived = 0;
    int count = 0;
    Site site = {"", 0};
    std::vector<std::uint16_t> waiting;
    std::vector<std::uint16_t> arrived_threads;
    Clocks::Row row;
  };
  struct Pending {
    Operation operation;
    std::uint32_t arrived;
  };
  struct Warp {
    std::vector<Pending> pending;
  };
  struct Region {
    std::byte* data;
    std::size_t bytes, alignment;
    Site site;
  };

  static void enter(boost::context::detail::transfer_t transfer);
  void exit(Fiber& me);
  Fiber& next(Fiber& otherwise);
  void report_deadlock();
  void check_shared_gaps();
  /// Reports arrivals that nobody waited for.
  void check_named_barriers();

  static constexpr std::size_t shared_buffer_bytes = std::size_t{1} << 20;
  static constexpr std::size_t shared_gap = 128;

  const Launch* launch_ = nullptr;
  Index3 index_ = {0, 0, 0};
  Random random_;
  StackPool stacks_;
  std::vector<Fiber> fibers_;
  Fiber host_;
  unsigned threads_ = 0, exited_ = 0;
  bool failed_ = false, checked_ = false;
  Clocks clocks_;
  int pending_copies_ = 0;
  std::uintptr_t first_source_ = 0, end_source_ = 0;  ///< bounds of what they read
  std::array<std::uint16_t, max_threads> ready_ = {};
  unsigned ready_count_ = 0;
  std::array<Barrier, 16> barriers_;
  std::array<Warp, max_threads / 32> warps_;
  std::byte* shared_ = nullptr;
  std::size_t shared_used_ = 0;    ///< of the buffer, with gaps
  std::size_t shared_offset_ = 0;  ///< as a GPU would lay it out
  std::vector<Region> regions_;
};

/// Null while no grid runs. Set by run_grid().
extern Block* running_block;

bool same_site(Site a, Site b);

}  // namespace resnet::sim
