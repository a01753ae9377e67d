#include "kernels/sim/thread_api.hpp"

#include <cstring>

#include "kernels/sim/block.hpp"
#include "kernels/sim/matrix.hpp"
#include "kernels/sim/memory.hpp"

namespace resnet::sim {
namespace {

using Collective = Block::Collective;
using Operation = Block::Operation;

bool aligned(const void* address, std::size_t bytes) { return reinterpret_cast<std::uintptr_t>(address) % bytes == 0; }

void demand_alignment(const void* address, std::size_t bytes, const char* what, Site site) {
  if (aligned(address, bytes)) return;
  report(ReportKind::misaligned, site, what, " at ", address, " needs an alignment of ", bytes);
  running_block->abandon();
}

/// What check_access() says of a kernel with hooks, for one without: memory that a GPU could not reach.
void demand_kernel_memory(const void* address, std::size_t bytes, const char* what, Site site) {
  if (running_block->in_shared_buffer(address) || device_memory().contains(address)) return;
  if (is_host_memory_of_kernel(address, bytes)) return;
  report(ReportKind::out_of_bounds, site, what, " at ", address, ", which is the host's memory");
  running_block->abandon();
}

/// Before a load or a store.
void check(const void* address, std::size_t bytes, Access access, const char* what, Site site) {
  demand_alignment(address, bytes, what, site);
  if (running_block->checked()) {
    check_access(address, bytes, access, {nullptr, site});
  } else {
    demand_kernel_memory(address, bytes, what, site);
  }
}

void execute_shuffle(Fiber* lanes, const Operation& operation) {
  const auto width = static_cast<unsigned>(operation.rows);
  std::uint32_t results[32];
  for (std::uint32_t rest = operation.mask; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctz(rest));
    const auto argument = static_cast<unsigned>(lanes[lane].lane.numbers[0]);
    const unsigned first = lane / width * width, last = first + width - 1;
    unsigned source = lane;
    switch (static_cast<Shuffle>(operation.detail)) {
      case Shuffle::index:
        source = first + argument % width;
        break;
      case Shuffle::down:
        if (lane + argument <= last) source = lane + argument;
        break;
      case Shuffle::exclusive_or:
        if ((lane ^ argument) <= last) source = lane ^ argument;
        break;
    }
    if ((operation.mask >> source & 1u) != 0) {
      results[lane] = lanes[source].lane.value;
    } else {
      report(ReportKind::warp, operation.site, "lane ", lane, " reads lane ", source, ", which is not in the mask");
      results[lane] = 0xffffffffu;
    }
  }
  for (std::uint32_t rest = operation.mask; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctz(rest));
    lanes[lane].lane.value = results[lane];
  }
}

void execute_ballot(Fiber* lanes, const Operation& operation) {
  std::uint32_t votes = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((operation.mask >> lane & 1u) != 0 && lanes[lane].lane.value != 0) votes |= 1u << lane;
  for (std::uint32_t rest = operation.mask; rest != 0; rest &= rest - 1) lanes[__builtin_ctz(rest)].lane.value = votes;
}

/// Matrix m takes its row r from the address of lane 8 m + r; lane 4 r + t gets word t of row r of every matrix.
void execute_ldmatrix(Fiber* lanes, const Operation& operation) {
  const OutsideKernel guard;
  for (int load = 0; load < operation.rows; ++load) {
    std::uint32_t data[32][4];
    for (unsigned lane = 0; lane < 32; ++lane)
      std::memcpy(data[lane], static_cast<const void* const*>(lanes[lane].lane.in[0])[load], 16);
    for (unsigned lane = 0; lane < 32; ++lane) {
      auto* const registers = static_cast<std::uint32_t*>(lanes[lane].lane.out) + 4 * load;
      for (unsigned matrix = 0; matrix < 4; ++matrix) registers[matrix] = data[8 * matrix + lane / 4][lane % 4];
    }
  }
}

void execute_mma(Fiber* lanes, const Operation& operation) {
  const OutsideKernel guard;
  WarpMma mma;
  mma.type = static_cast<MmaType>(operation.detail);
  mma.rows = operation.rows;
  mma.columns = operation.columns;
  mma.truncate = running_block->launch().schedule.truncating_mma;
  for (unsigned lane = 0; lane < 32; ++lane) {
    mma.c[lane] = lanes[lane].lane.out;
    mma.a[lane] = static_cast<const std::uint32_t*>(lanes[lane].lane.in[0]);
    mma.b[lane] = static_cast<const std::uint32_t*>(lanes[lane].lane.in[1]);
  }
  multiply(mma);
}

constexpr std::uint32_t all_lanes = 0xffffffffu;

/// memcpy of 4, 8 or 16 bytes.
void copy_bytes(void* to, const void* from, std::size_t bytes) {
  const OutsideKernel guard;
  switch (bytes) {
    case 4:
      std::memcpy(to, from, 4);
      break;
    case 8:
      std::memcpy(to, from, 8);
      break;
    default:
      std::memcpy(to, from, 16);
  }
}

/// From here on this copy is in shared memory.
void land(PendingCopy& copy) {
  if (copy.landed) return;
  copy.landed = true;
  if (copy.source_bytes == copy.bytes) {
    copy_bytes(copy.shared, copy.global, copy.bytes);
    return;
  }
  const OutsideKernel guard;
  std::memcpy(copy.shared, copy.global, copy.source_bytes);
  std::memset(static_cast<std::byte*>(copy.shared) + copy.source_bytes, 0,
              static_cast<std::size_t>(copy.bytes - copy.source_bytes));
}

/// Its thread waited for it.
void finish(PendingCopy& copy) {
  land(copy);
  if (!running_block->checked()) return;
  check_copy_end(copy.shared, copy.global, copy.bytes, copy.source_bytes);
  running_block->remove_pending_copy();
}

}  // namespace

void sync_threads(Site site) { running_block->sync_threads(site); }
void sync_named(int id, int count, Site site) { running_block->sync_named(id, count, true, site); }
void arrive_named(int id, int count, Site site) { running_block->sync_named(id, count, false, site); }

void sync_warp(std::uint32_t mask, Site site) {
  running_block->rendezvous(self(), {Collective::sync, 0, mask, site, 0, 0, nullptr});
}

std::uint32_t shuffle(Shuffle kind, std::uint32_t mask, std::uint32_t value, int argument, int width, Site site) {
  Fiber& me = self();
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
    report(ReportKind::warp, site, "shuffle of width ", width);
    running_block->abandon();
  }
  me.lane.value = value;
  me.lane.numbers[0] = argument;
  running_block->rendezvous(
      me, {Collective::shuffle, static_cast<std::uint8_t>(kind), mask, site, width, 0, execute_shuffle});
  return me.lane.value;
}

std::uint32_t ballot(std::uint32_t mask, bool predicate, Site site) {
  Fiber& me = self();
  me.lane.value = predicate ? 1 : 0;
  running_block->rendezvous(me, {Collective::ballot, 0, mask, site, 0, 0, execute_ballot});
  return me.lane.value;
}

void ldmatrix_x4(std::uint32_t* registers, const void* const* rows, int count, Site site) {
  Fiber& me = self();
  for (int i = 0; i < count; ++i) {
    demand_alignment(rows[i], 16, "ldmatrix", site);
    if (!running_block->in_shared_buffer(rows[i])) {
      report(ReportKind::out_of_bounds, site, "ldmatrix outside shared memory");
      running_block->abandon();
    }
    if (running_block->checked()) check_access(rows[i], 16, Access::read, {nullptr, site});
  }
  me.lane.in[0] = rows;
  me.lane.out = registers;
  running_block->rendezvous(me, {Collective::ldmatrix, 0, all_lanes, site, count, 0, execute_ldmatrix});
}

void mma(MmaType type, void* c, const std::uint32_t* a, const std::uint32_t* b, int rows, int columns, Site site) {
  Fiber& me = self();
  if (running_block->launch().sm < 80 && type != MmaType::f16) {
    report(ReportKind::unsupported, site, "the matrix unit of this device knows f16 alone");
    running_block->abandon();
  }
  if (columns > WarpMma::max_columns) {
    report(ReportKind::unsupported, site, columns, " columns of tiles in one call");
    running_block->abandon();
  }
  me.lane.in[0] = a;
  me.lane.in[1] = b;
  me.lane.out = c;
  running_block->rendezvous(
      me, {Collective::mma, static_cast<std::uint8_t>(type), all_lanes, site, rows, columns, execute_mma});
}

void* shared_allocate(std::size_t bytes, std::size_t alignment, Site site) {
  return running_block->shared_allocate(bytes, alignment, site);
}

void load16(std::uint32_t (&words)[4], const void* address, Site site) {
  check(address, 16, Access::read, "a load of 16 bytes", site);
  copy_bytes(words, address, 16);
}

void store16(void* address, const std::uint32_t (&words)[4], Site site) {
  check(address, 16, Access::write, "a store of 16 bytes", site);
  copy_bytes(address, words, 16);
}

void load_bytes(void* destination, const void* address, std::size_t bytes, Site site) {
  check(address, bytes, Access::read, "a load", site);
  copy_bytes(destination, address, bytes);
}

void store_bytes(void* address, const void* source, std::size_t bytes, Site site) {
  check(address, bytes, Access::write, "a store", site);
  copy_bytes(address, source, bytes);
}

void cp_async(void* shared, const void* global, int bytes, int source_bytes, Site site) {
  Fiber& me = self();
  if ((bytes != 4 && bytes != 8 && bytes != 16) || source_bytes < 0 || source_bytes > bytes) {
    report(ReportKind::async_copy, site, "a copy of ", source_bytes, " of ", bytes, " bytes");
    running_block->abandon();
  }
  demand_alignment(shared, static_cast<std::size_t>(bytes), "the target of an asynchronous copy", site);
  demand_alignment(global, static_cast<std::size_t>(bytes), "the source of an asynchronous copy", site);
  if (!running_block->in_shared_buffer(shared)) {
    report(ReportKind::out_of_bounds, site, "the target of an asynchronous copy is not in shared memory");
    running_block->abandon();
  }
  if (source_bytes > 0 && !device_memory().contains(global)) {
    report(ReportKind::out_of_bounds, site, "the source of an asynchronous copy is not in device memory");
    running_block->abandon();
  }
  if (me.first_copy == me.copies.size()) {
    me.copies.clear();
    me.first_copy = 0;
  }
  me.copies.push_back({shared, global, static_cast<std::uint8_t>(bytes), static_cast<std::uint8_t>(source_bytes), false,
                       me.committed_groups, site});
  const Launch& launch = running_block->launch();
  const bool now = launch.sm < 80 || launch.schedule.copies == CopyPolicy::earliest ||
                   (launch.schedule.copies == CopyPolicy::random && (running_block->random().next() & 1u) != 0);
  if (running_block->checked()) {
    check_copy_begin(shared, global, static_cast<std::size_t>(bytes), static_cast<std::size_t>(source_bytes), site);
    running_block->add_pending_copy(global, static_cast<std::size_t>(source_bytes));
  }
  if (now) {
    land(me.copies.back());
  } else {
    constexpr std::uint32_t poisoned[4] = {0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu};
    copy_bytes(shared, poisoned, static_cast<std::size_t>(bytes));
  }
  if (launch.sm < 80) finish(me.copies[me.first_copy++]);  // an ordinary load and store there
}

void cp_async_commit(Site) { ++self().committed_groups; }

void cp_async_wait(int newest_pending, Site) {
  Fiber& me = self();
  if (static_cast<unsigned>(newest_pending) >= me.committed_groups) return;
  const unsigned complete = me.committed_groups - static_cast<unsigned>(newest_pending);
  while (me.first_copy < me.copies.size() && me.copies[me.first_copy].group < complete)
    finish(me.copies[me.first_copy++]);
}

std::uint32_t atomic_add(std::uint32_t* address, std::uint32_t value, Site site) {
  check(address, 4, Access::atomic, "an atomic", site);
  if (running_block->checked()) running_block->atomic(address);
  const std::uint32_t before = *address;
  *address = before + value;
  return before;
}

void trap(const char* reason, Site site) {
  report(ReportKind::trap, site, reason);
  running_block->abandon();
}

}  // namespace resnet::sim
