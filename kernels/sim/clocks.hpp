#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/sim/thread_api.hpp"

/// Who knows of whose memory accesses, after FastTrack (Flanagan and Freund, 2009), with what CUDA orders: block and
/// named barriers, sync_warp, and chains of atomics.
///
/// Between two barriers of a block lies a segment. Segments are numbered over all blocks and launches, so an access is
/// dated by its segment, thread and the thread's clock in that segment, and everything of an earlier segment of the
/// own block is known to all its threads.
namespace resnet::sim {

/// The date of an access: segment (32 bits), thread (10), clock (21), whether it was atomic (1). 0: none.
using Stamp = std::uint64_t;

constexpr Stamp make_stamp(std::uint32_t segment, unsigned thread, std::uint32_t clock) {
  return static_cast<Stamp>(segment) << 32 | static_cast<Stamp>(thread) << 22 | static_cast<Stamp>(clock) << 1;
}
constexpr std::uint32_t segment_of(Stamp stamp) { return static_cast<std::uint32_t>(stamp >> 32); }
constexpr unsigned thread_of(Stamp stamp) { return static_cast<unsigned>(stamp >> 22) & 1023u; }
constexpr std::uint32_t clock_of(Stamp stamp) { return static_cast<std::uint32_t>(stamp >> 1) & 0x1fffffu; }
constexpr bool is_atomic(Stamp stamp) { return (stamp & 1u) != 0; }

/// What was known of blocks when an atomic released it: of each its segments before `segment`, and the clocks in that.
struct Released {
  struct Entry {
    std::uint32_t first_segment, segment;  ///< of the block
    std::vector<std::uint32_t> clocks;     ///< per thread
  };
  std::vector<Entry> entries;  ///< by first_segment

  bool covers(Stamp stamp) const;
  void join(const Entry& entry);
};

/// A thread's own clock and what it knows of its block's threads in this segment.
struct ThreadClock {
  Stamp stamp = 0;  ///< of an access now
  std::uint32_t clock = 1;
  std::array<std::uint32_t, 32> lanes = {};  ///< of its warp
  std::vector<std::uint32_t> others;         ///< of all threads; empty: nothing
  std::shared_ptr<const Released> released;  ///< of other blocks
};

/// The clocks of the block that runs.
class Clocks {
 public:
  void start_launch() {
    launch_first_ = segment_ + 1;
    blocks_.clear();
    variables_.clear();
  }
  void start_block(unsigned threads, Index3 index);

  void block_barrier();
  void warp_barrier(unsigned warp, std::uint32_t mask);
  /// Named barriers: every arrival releases into `row`, those that wait acquire it.
  struct Row {
    std::uint32_t segment = 0;
    std::vector<std::uint32_t> clocks;
    std::shared_ptr<const Released> released;
  };
  void release_to(Row& row, unsigned thread);
  void acquire_from(const Row& row, unsigned thread);
  /// An atomic at `address`: acquires and releases.
  void atomic(const void* address, unsigned thread);

  const ThreadClock& operator[](unsigned thread) const { return threads_[thread]; }
  std::uint32_t block_first() const { return block_first_; }

  /// Whether `thread` knows of what happened then; `shared`: in memory that only this block has.
  bool ordered(Stamp stamp, unsigned thread, bool shared) const {
    const std::uint32_t segment = segment_of(stamp);
    if (segment >= block_first_) return segment < segment_ || knows(stamp, thread);
    return shared || segment < launch_first_ || foreign(stamp, thread);
  }
  /// The block of this launch to which the stamp belongs.
  Index3 block_of(Stamp stamp) const;

 private:
  bool knows(Stamp stamp, unsigned thread) const;
  bool foreign(Stamp stamp, unsigned thread) const;
  void tick(unsigned thread);
  void gather(std::vector<std::uint32_t>& clocks, unsigned thread) const;

  unsigned count_ = 0;
  std::uint32_t segment_ = 0, block_first_ = 0, launch_first_ = 0;
  std::vector<ThreadClock> threads_;
  std::vector<std::pair<std::uint32_t, Index3>> blocks_;
  std::unordered_map<const void*, std::shared_ptr<const Released>> variables_;
};

}  // namespace resnet::sim
