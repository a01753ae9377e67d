#include "kernels/sim/clocks.hpp"

#include <algorithm>

namespace resnet::sim {
namespace {

void raise(std::uint32_t& value, std::uint32_t other) { value = std::max(value, other); }

std::shared_ptr<const Released> merged(const std::shared_ptr<const Released>& a,
                                       const std::shared_ptr<const Released>& b) {
  if (!b || a == b) return a;
  if (!a) return b;
  auto sum = std::make_shared<Released>(*a);
  for (const Released::Entry& entry : b->entries) sum->join(entry);
  return sum;
}

}  // namespace

bool Released::covers(Stamp stamp) const {
  const std::uint32_t segment = segment_of(stamp);
  const auto after = std::upper_bound(entries.begin(), entries.end(), segment,
                                      [](std::uint32_t s, const Entry& entry) { return s < entry.first_segment; });
  if (after == entries.begin()) return false;
  const Entry& entry = *std::prev(after);
  return segment < entry.segment || (segment == entry.segment && clock_of(stamp) <= entry.clocks[thread_of(stamp)]);
}

void Released::join(const Entry& entry) {
  const auto at =
      std::lower_bound(entries.begin(), entries.end(), entry.first_segment,
                       [](const Entry& element, std::uint32_t first) { return element.first_segment < first; });
  if (at == entries.end() || at->first_segment != entry.first_segment) {
    entries.insert(at, entry);
  } else if (at->segment < entry.segment) {
    *at = entry;
  } else if (at->segment == entry.segment) {
    for (std::size_t i = 0; i < entry.clocks.size(); ++i) raise(at->clocks[i], entry.clocks[i]);
  }
}

void Clocks::start_block(unsigned threads, Index3 index) {
  count_ = threads;
  block_first_ = ++segment_;
  blocks_.emplace_back(segment_, index);
  threads_.resize(std::max<std::size_t>(threads_.size(), threads));
  for (unsigned i = 0; i < threads; ++i) {
    ThreadClock& thread = threads_[i];
    thread.clock = 1;
    thread.stamp = make_stamp(segment_, i, 1);
    thread.lanes.fill(0);
    thread.others.clear();
    thread.released.reset();
  }
}

void Clocks::block_barrier() {
  ++segment_;
  std::shared_ptr<const Released> released;
  for (unsigned i = 0; i < count_; ++i) released = merged(released, threads_[i].released);
  for (unsigned i = 0; i < count_; ++i) {
    ThreadClock& thread = threads_[i];
    thread.clock = 1;
    thread.stamp = make_stamp(segment_, i, 1);
    thread.lanes.fill(0);
    thread.others.clear();
    thread.released = released;
  }
}

void Clocks::tick(unsigned thread) {
  ThreadClock& mine = threads_[thread];
  ++mine.clock;
  mine.stamp = make_stamp(segment_, thread, mine.clock);
}

void Clocks::warp_barrier(unsigned warp, std::uint32_t mask) {
  std::array<std::uint32_t, 32> lanes = {};
  std::vector<std::uint32_t> others;
  std::shared_ptr<const Released> released;
  const unsigned first = warp * 32;
  for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctz(rest));
    const ThreadClock& thread = threads_[first + lane];
    for (std::size_t i = 0; i < 32; ++i) raise(lanes[i], thread.lanes[i]);
    raise(lanes[lane], thread.clock);
    if (!thread.others.empty()) {
      others.resize(count_, 0);
      for (std::size_t i = 0; i < count_; ++i) raise(others[i], thread.others[i]);
    }
    released = merged(released, thread.released);
  }
  for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctz(rest));
    ThreadClock& thread = threads_[first + lane];
    thread.lanes = lanes;
    if (!others.empty()) thread.others = others;
    thread.released = released;
    tick(first + lane);
  }
}

void Clocks::gather(std::vector<std::uint32_t>& clocks, unsigned thread) const {
  const ThreadClock& mine = threads_[thread];
  clocks.resize(std::max<std::size_t>(clocks.size(), count_), 0);
  if (!mine.others.empty()) {
    for (std::size_t i = 0; i < count_; ++i) raise(clocks[i], mine.others[i]);
  }
  const unsigned first = thread / 32 * 32;
  for (unsigned i = 0; i < 32 && first + i < count_; ++i) raise(clocks[first + i], mine.lanes[i]);
  raise(clocks[thread], mine.clock);
}

void Clocks::release_to(Row& row, unsigned thread) {
  if (row.segment != segment_) {
    row.segment = segment_;
    row.clocks.assign(count_, 0);
    row.released.reset();
  }
  gather(row.clocks, thread);
  row.released = merged(row.released, threads_[thread].released);
  tick(thread);
}

void Clocks::acquire_from(const Row& row, unsigned thread) {
  ThreadClock& mine = threads_[thread];
  mine.released = merged(mine.released, row.released);
  if (row.segment != segment_) return;
  mine.others.resize(count_, 0);
  for (std::size_t i = 0; i < count_; ++i) raise(mine.others[i], row.clocks[i]);
}

void Clocks::atomic(const void* address, unsigned thread) {
  ThreadClock& mine = threads_[thread];
  std::shared_ptr<const Released>& variable = variables_[address];
  auto sum = std::make_shared<Released>();
  if (variable) *sum = *variable;
  if (mine.released) {
    for (const Released::Entry& entry : mine.released->entries) sum->join(entry);
  }
  for (const Released::Entry& entry : sum->entries) {
    if (entry.first_segment != block_first_ || entry.segment != segment_) continue;
    mine.others.resize(count_, 0);
    for (std::size_t i = 0; i < count_; ++i) raise(mine.others[i], entry.clocks[i]);
  }
  Released::Entry own{block_first_, segment_, {}};
  gather(own.clocks, thread);
  sum->join(own);
  variable = mine.released = sum;
  tick(thread);
}

bool Clocks::knows(Stamp stamp, unsigned thread) const {
  const unsigned other = thread_of(stamp);
  if (other == thread) return true;
  const ThreadClock& mine = threads_[thread];
  const std::uint32_t clock = clock_of(stamp);
  if (other / 32 == thread / 32 && mine.lanes[other % 32] >= clock) return true;
  return !mine.others.empty() && mine.others[other] >= clock;
}

bool Clocks::foreign(Stamp stamp, unsigned thread) const {
  const auto& released = threads_[thread].released;
  return released && released->covers(stamp);
}

Index3 Clocks::block_of(Stamp stamp) const {
  const auto after = std::upper_bound(blocks_.begin(), blocks_.end(), segment_of(stamp),
                                      [](std::uint32_t s, const auto& block) { return s < block.first; });
  return after == blocks_.begin() ? Index3{0, 0, 0} : std::prev(after)->second;
}

}  // namespace resnet::sim
