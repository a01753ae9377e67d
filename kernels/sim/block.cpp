#include "kernels/sim/block.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace resnet::sim {

constinit thread_local const Thread* current = nullptr;
constinit thread_local const Thread* served = nullptr;
constinit thread_local int Reporting::depth = 0;
Block* running_block = nullptr;

bool same_site(Site a, Site b) { return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0); }

Block::Block() : fibers_(max_threads) {
  void* const memory =
      mmap(nullptr, shared_buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  shared_ = static_cast<std::byte*>(memory);
  regions_.reserve(64);
  shadow_shared_buffer(shared_, shared_buffer_bytes);
}

Block::~Block() { munmap(shared_, shared_buffer_bytes); }

void Block::start_grid(const Launch& launch) {
  launch_ = &launch;
  threads_ = launch.threads;
  random_ = Random(launch.schedule.seed * 1000003 + launch.number);
  failed_ = checked_ = false;
  clocks_.start_launch();
  for (unsigned i = 0; i < threads_; ++i) {
    fibers_[i].stack = stacks_.get(i);
    fibers_[i].thread = i;
    fibers_[i].threads = threads_;
    fibers_[i].grid = launch.grid;
  }
}

bool Block::run(Index3 index) {
  index_ = index;
  for (Barrier& barrier : barriers_) {
    barrier.arrived = 0;
    barrier.waiting.clear();
    barrier.arrived_threads.clear();
  }
  for (Warp& warp : warps_) warp.pending.clear();
  for (const Region& region : regions_) shadow_released(region.data, region.bytes);
  regions_.clear();
  clocks_.start_block(threads_, index);
  pending_copies_ = 0;
  shared_used_ = shared_gap;
  shared_offset_ = 0;
  std::memset(shared_, canary, shared_gap);
  exited_ = 0;
  ready_count_ = 0;
  for (unsigned i = 0; i < threads_; ++i) {
    Fiber& fiber = fibers_[i];
    fiber.block = index;
    fiber.shared_regions = 0;
    fiber.copies.clear();
    fiber.first_copy = 0;
    fiber.committed_groups = 0;
#if RESNET_SIM_ASAN
    ASAN_UNPOISON_MEMORY_REGION(fiber.stack.bottom, fiber.stack.bytes);
    fiber.sanitizer_stack = nullptr;
#endif
    // Different first addresses modulo a page, or all stacks would share a few cache sets.
    const std::size_t colour = (i * 320) % 4096;
    std::byte* const top = fiber.stack.bottom + fiber.stack.bytes - colour;
    fiber.context = boost::context::detail::make_fcontext(top, fiber.stack.bytes - colour, &Block::enter);
    wake(fiber);
  }
  Fiber& first = next(host_);
  current = &first;
  switch_fiber(host_, first);
  current = nullptr;
  if (!failed_) {
    check_shared_gaps();
    check_named_barriers();
  }
  return !failed_;
}

void Block::enter(boost::context::detail::transfer_t transfer) {
  Fiber& me = self();
  Fiber& from = *static_cast<Fiber*>(transfer.data);
  from.context = transfer.fctx;
#if RESNET_SIM_ASAN
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (&from == &running_block->host_) {
    from.stack.bottom = static_cast<std::byte*>(const_cast<void*>(bottom));
    from.stack.bytes = bytes;
  }
#endif
  const Launch& launch = *running_block->launch_;
  const void* const arguments[] = {launch.arguments.data()};
  launch.kernel.invoke(launch.kernel.function, const_cast<void* const*>(arguments));
  running_block->exit(me);
}

void Block::exit(Fiber& me) {
  if (me.first_copy < me.copies.size()) {
    report(ReportKind::async_copy, me.copies[me.first_copy].site, "the thread ends before it waited for its copies");
  }
  me.state = Fiber::State::exited;
  ++exited_;
  Barrier& barrier = barriers_[0];
  if (barrier.arrived > 0) {
    report(ReportKind::barrier, barrier.site, "a thread ended without reaching the barrier at which ", barrier.arrived,
           " threads wait");
    abandon();
  }
  Fiber& to = next(host_);
  current = &to;
  switch_fiber(me, to, true);
  __builtin_unreachable();
}

Fiber& Block::next(Fiber& otherwise) {
  if (ready_count_ == 0) {
    if (exited_ < threads_ && !failed_) {
      report_deadlock();
      failed_ = true;
    }
    return otherwise;
  }
  unsigned pick = 0;
  if (launch_->schedule.seed != 0) {
    pick = random_.below(ready_count_);
  } else {
    for (unsigned i = 1; i < ready_count_; ++i)
      if (ready_[i] < ready_[pick]) pick = i;
  }
  Fiber& fiber = fibers_[ready_[pick]];
  ready_[pick] = ready_[--ready_count_];
  return fiber;
}

void Block::wake(Fiber& fiber) {
  fiber.state = Fiber::State::ready;
  ready_[ready_count_++] = static_cast<std::uint16_t>(fiber.thread);
}

void Block::wait(Fiber& me, const char* waits_for, Site site) {
  me.state = Fiber::State::waiting;
  me.waits_for = waits_for;
  me.waits_at = site;
  Fiber& to = next(host_);
  current = &to;
  switch_fiber(me, to);
}

void Block::abandon() {
  failed_ = true;
  Reporting::depth = 0;  // who reports may not return
  Fiber& me = self();
  current = &host_;
  switch_fiber(me, host_, true);
  __builtin_unreachable();
}

void Block::report_deadlock() {
  const Reporting reporting;
  // One line per place where threads wait, with the first thread of each.
  struct Place {
    const Fiber* first;
    unsigned threads;
  };
  std::vector<Place> places;
  for (unsigned i = 0; i < threads_; ++i) {
    const Fiber& fiber = fibers_[i];
    if (fiber.state != Fiber::State::waiting) continue;
    const auto known = std::find_if(places.begin(), places.end(), [&](const Place& place) {
      return place.first->waits_for == fiber.waits_for && same_site(place.first->waits_at, fiber.waits_at);
    });
    if (known == places.end()) {
      places.push_back({&fiber, 1});
    } else {
      ++known->threads;
    }
  }
  std::ostringstream text;
  text << "no thread can run; " << exited_ << " ended";
  for (const Place& place : places) {
    text << "; " << place.threads << " (first: " << place.first->thread << ") wait in " << place.first->waits_for
         << " at " << place.first->waits_at.file << ":" << place.first->waits_at.line;
  }
  report(ReportKind::deadlock, places.empty() ? Site{"", 0} : places.front().first->waits_at, text.str());
}

void Block::sync_threads(Site site) {
  Fiber& me = self();
  Barrier& barrier = barriers_[0];
  if (barrier.arrived == 0) barrier.site = site;
  if (!same_site(barrier.site, site)) {
    report(ReportKind::barrier, site, "other threads of the block wait at another barrier, ", barrier.site.file, ":",
           barrier.site.line);
    abandon();
  }
  if (exited_ > 0) {
    report(ReportKind::barrier, site, exited_, " threads ended without reaching this barrier");
    abandon();
  }
  if (++barrier.arrived < threads_) {
    barrier.waiting.push_back(static_cast<std::uint16_t>(me.thread));
    wait(me, "a block barrier", site);
    return;
  }
  barrier.arrived = 0;
  if (checked_) clocks_.block_barrier();
  for (const std::uint16_t thread : barrier.waiting) wake(fibers_[thread]);
  barrier.waiting.clear();
}

void Block::sync_named(int id, int count, bool waits, Site site) {
  Fiber& me = self();
  if (id < 1 || id > 15 || count <= 0 || count % 32 != 0 || static_cast<unsigned>(count) > threads_) {
    report(ReportKind::barrier, site, "barrier ", id, " of ", count, " threads in a block of ", threads_);
    abandon();
  }
  Barrier& barrier = barriers_[static_cast<std::size_t>(id)];
  if (barrier.arrived == 0) {
    barrier.count = count;
    barrier.site = site;
  }
  if (barrier.count != count) {
    report(ReportKind::barrier, site, "barrier ", id, " of ", count, " threads is in use for ", barrier.count, ", ",
           barrier.site.file, ":", barrier.site.line);
    abandon();
  }
  const auto thread = static_cast<std::uint16_t>(me.thread);
  if (std::find(barrier.arrived_threads.begin(), barrier.arrived_threads.end(), thread) !=
      barrier.arrived_threads.end()) {
    report(ReportKind::barrier, site, "arrives twice at barrier ", id);
    abandon();
  }
  barrier.arrived_threads.push_back(thread);
  if (checked_) clocks_.release_to(barrier.row, me.thread);
  if (++barrier.arrived < static_cast<unsigned>(count)) {
    if (waits) {
      barrier.waiting.push_back(thread);
      wait(me, "a named barrier", site);
    }
    return;
  }
  barrier.arrived = 0;
  if (checked_) {
    if (waits) clocks_.acquire_from(barrier.row, me.thread);
    for (const std::uint16_t other : barrier.waiting) clocks_.acquire_from(barrier.row, other);
    barrier.row.segment = 0;
  }
  for (const std::uint16_t other : barrier.waiting) wake(fibers_[other]);
  barrier.waiting.clear();
  barrier.arrived_threads.clear();
}

void Block::rendezvous(Fiber& me, const Operation& operation) {
  const std::uint32_t bit = 1u << (me.thread % 32);
  Warp& warp = warps_[me.thread / 32];
  Fiber* const lanes = &fibers_[me.thread / 32 * 32];
  if ((operation.mask & bit) == 0) {
    report(ReportKind::warp, operation.site, "lane ", me.thread % 32, " is not in its own mask ", std::hex,
           operation.mask);
    abandon();
  }
  for (std::size_t i = 0; i < warp.pending.size(); ++i) {
    Pending& pending = warp.pending[i];
    const Operation& theirs = pending.operation;
    if (theirs.kind != operation.kind || theirs.mask != operation.mask || !same_site(theirs.site, operation.site)) {
      continue;
    }
    if (theirs.detail != operation.detail || theirs.rows != operation.rows || theirs.columns != operation.columns) {
      report(ReportKind::warp, operation.site, "lanes pass different constants to one collective");
      abandon();
    }
    pending.arrived |= bit;
    if (pending.arrived != operation.mask) {
      wait(me, "a warp collective", operation.site);
      return;
    }
    warp.pending.erase(warp.pending.begin() + static_cast<std::ptrdiff_t>(i));
    if (operation.execute) operation.execute(lanes, operation);
    if (checked_ && operation.kind == Collective::sync) clocks_.warp_barrier(me.thread / 32, operation.mask);
    for (std::uint32_t rest = operation.mask & ~bit; rest != 0; rest &= rest - 1) wake(lanes[__builtin_ctz(rest)]);
    return;
  }
  if (operation.mask == bit) {
    if (operation.execute) operation.execute(lanes, operation);
    return;
  }
  warp.pending.push_back({operation, bit});
  wait(me, "a warp collective", operation.site);
}

void* Block::shared_allocate(std::size_t bytes, std::size_t alignment, Site site) {
  Fiber& me = self();
  const unsigned number = me.shared_regions++;
  if (number < regions_.size()) {
    const Region& region = regions_[number];
    if (region.bytes != bytes || region.alignment != alignment || !same_site(region.site, site)) {
      report(ReportKind::shared_memory, site, "threads of the block allocate different regions: ", bytes,
             " bytes here, ", region.bytes, " at ", region.site.file, ":", region.site.line);
      abandon();
    }
    return region.data;
  }
  if (alignment == 0 || alignment > 1024 || (alignment & (alignment - 1)) != 0) {
    report(ReportKind::shared_memory, site, "alignment ", alignment);
    abandon();
  }
  shared_offset_ = (shared_offset_ + alignment - 1) / alignment * alignment + bytes;
  if (shared_offset_ > launch_->shared_bytes) {
    report(ReportKind::shared_memory, site, "the launch booked ", launch_->shared_bytes,
           " bytes of shared memory, the block takes ", shared_offset_, " or more");
    abandon();
  }
  const std::size_t first = (shared_used_ + alignment - 1) / alignment * alignment;
  const std::size_t end = first + bytes + shared_gap;
  if (end > shared_buffer_bytes) {
    report(ReportKind::shared_memory, site, "too many regions");
    abandon();
  }
  const OutsideKernel guard;
  std::memset(shared_ + shared_used_, canary, first - shared_used_);
  std::memset(shared_ + first, poison, bytes);
  std::memset(shared_ + first + bytes, canary, shared_gap);
  shared_used_ = end;
  shadow_allocated(shared_ + first, bytes);
  regions_.push_back({shared_ + first, bytes, alignment, site});
  return shared_ + first;
}

void Block::check_pending_sources(const void* address, std::size_t bytes, const Origin& origin) {
  const auto first = reinterpret_cast<std::uintptr_t>(address);
  if (pending_copies_ == 0 || first >= end_source_ || first + bytes <= first_source_) return;
  for (unsigned i = 0; i < threads_; ++i) {
    const Fiber& fiber = fibers_[i];
    for (std::size_t j = fiber.first_copy; j < fiber.copies.size(); ++j) {
      const PendingCopy& copy = fiber.copies[j];
      const auto source = reinterpret_cast<std::uintptr_t>(copy.global);
      if (first >= source + copy.source_bytes || source >= first + bytes) continue;
      const char* const message = "a write to what a copy reads that its thread has not waited for";
      if (origin.pc) {
        add_report(ReportKind::async_copy, origin.pc, message);
      } else {
        add_report(ReportKind::async_copy, origin.site.file, origin.site.line, message);
      }
      return;
    }
  }
}

void Block::check_named_barriers() {
  for (std::size_t id = 1; id < barriers_.size(); ++id) {
    const Barrier& barrier = barriers_[id];
    if (barrier.arrived == 0) continue;
    report(ReportKind::barrier, barrier.site, "the block ends when ", barrier.arrived, " of ", barrier.count,
           " threads have arrived at barrier ", id);
  }
}

void Block::check_shared_gaps() {
  const auto check = [&](const std::byte* first, const std::byte* last, const Region& near, const char* where) {
    const bool intact = std::all_of(first, last, [](std::byte value) { return value == std::byte{canary}; });
    if (!intact) report(ReportKind::canary, near.site, "bytes ", where, " this shared region were written");
  };
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    const Region& region = regions_[i];
    if (i == 0) check(shared_, region.data, region, "before");
    const std::byte* const end = region.data + region.bytes;
    check(end, i + 1 < regions_.size() ? regions_[i + 1].data : shared_ + shared_used_, region, "after");
  }
}

}  // namespace resnet::sim
