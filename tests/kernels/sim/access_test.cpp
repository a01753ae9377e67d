#include "device_array.hpp"
#include "kernels/device/memory.hpp"
#include "kernels/device/mma.hpp"
#include "kernels/device/thread.hpp"

/// This file is compiled with access hooks: for each detector a wrong kernel, which must be reported with its line, and
/// a right one beside it, which must not.
namespace resnet::sim {
namespace {

using dev::lane;
using dev::thread_index;
using dev::warp;

struct Params {
  float* x;              ///< 256 values, 0, 1, 2, ...
  float* fresh;          ///< 256 values that nobody wrote
  std::uint32_t* count;  ///< 64 zeros
};

unsigned wrong_line = 0;  // set by a kernel in the line before its mistake
/// The next line is the mistake.
#define MISTAKE() wrong_line = __LINE__ + 1

class AccessTest : public SimTest {
 protected:
  static std::vector<Report> run(void (*kernel)(Params), unsigned threads = 64, unsigned blocks = 1) {
    std::vector<float> values(256);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    {
      const DeviceArray<float> x(values), fresh(256);
      const DeviceArray<std::uint32_t> count(std::vector<std::uint32_t>(64, 0));
      EXPECT_EQ(kernels::launch_kernel("kernel", kernel, {.blocks_x = blocks, .threads = threads, .shared_bytes = 4096},
                                       nullptr, Params{x.data(), fresh.data(), count.data()}),
                cudaSuccess);
      cuda_api().cudaDeviceSynchronize();
    }
    std::vector<Report> reports = take_reports();
    reset();
    cuda_api().cudaGetLastError();
    return reports;
  }

  static void expect_right(void (*kernel)(Params), unsigned threads = 64, unsigned blocks = 1) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      set_schedule({.seed = seed, .copies = static_cast<CopyPolicy>(seed % 3)});
      EXPECT_EQ(texts(run(kernel, threads, blocks)), "") << "seed " << seed;
    }
  }

  /// Under every schedule a report of that kind at the marked line.
  static void expect_wrong(ReportKind kind, void (*kernel)(Params), unsigned threads = 64, unsigned blocks = 1) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      set_schedule({.seed = seed, .copies = static_cast<CopyPolicy>(seed % 3)});
      const std::vector<Report> reports = run(kernel, threads, blocks);
      bool found = false;
      for (const Report& report : reports) {
        EXPECT_EQ(report.kind, kind) << to_string(report);
        EXPECT_EQ(report.file, "access_test.cpp") << to_string(report);
        EXPECT_GE(report.thread, 0);
        found = found || report.line == wrong_line;
      }
      EXPECT_TRUE(found) << "seed " << seed << ", line " << wrong_line << " is not in:\n" << texts(reports);
    }
  }

  /// Under every schedule a race; a reader that came first may have found nothing written.
  static void expect_race(void (*kernel)(Params), unsigned threads = 64, unsigned blocks = 1) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      set_schedule({.seed = seed, .copies = static_cast<CopyPolicy>(seed % 3)});
      bool raced = false;
      for (const Report& report : run(kernel, threads, blocks)) {
        raced = raced || report.kind == ReportKind::race;
        EXPECT_TRUE(report.kind == ReportKind::race || report.kind == ReportKind::uninitialised) << to_string(report);
        EXPECT_EQ(report.file, "access_test.cpp") << to_string(report);
      }
      EXPECT_TRUE(raced) << "seed " << seed;
    }
  }
};

// Bounds.

RESNET_KERNEL(64, 1) read_inside(RESNET_PARAMS(Params) p) { p.fresh[thread_index()] = p.x[255 - thread_index()]; }
RESNET_KERNEL(64, 1) read_behind(RESNET_PARAMS(Params) p) {
  MISTAKE();
  p.fresh[thread_index()] = p.x[193 + thread_index()];
}
RESNET_KERNEL(64, 1) write_before(RESNET_PARAMS(Params) p) {
  MISTAKE();
  if (thread_index() == 17) p.x[-1] = 0;
}
RESNET_KERNEL(64, 1) null_read(RESNET_PARAMS(Params) p) {
  const float* const nothing = p.x[1] > 0 ? nullptr : p.x;
  MISTAKE();
  p.fresh[thread_index()] = nothing[thread_index()];
}
RESNET_KERNEL(64, 1) copy_behind(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(256);
  MISTAKE();
  dev::cp_async16(tile + 4 * thread_index(), p.x + 4 * (thread_index() + 1));
  dev::cp_async_commit();
  dev::cp_async_wait<0>();
}
RESNET_KERNEL(64, 1) shared_behind(RESNET_PARAMS(Params)) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(64);
  MISTAKE();
  tile[thread_index() + 1] = 1;
}

TEST_F(AccessTest, Bounds) {
  expect_right(read_inside);
  expect_wrong(ReportKind::out_of_bounds, read_behind);
  expect_wrong(ReportKind::out_of_bounds, write_before);
  expect_wrong(ReportKind::out_of_bounds, null_read);
  expect_wrong(ReportKind::out_of_bounds, copy_behind);
  expect_wrong(ReportKind::out_of_bounds, shared_behind);
}

// The host's memory.

float* host_values = nullptr;
RESNET_KERNEL(64, 1) read_host(RESNET_PARAMS(Params) p) {
  const float* const values = host_values;
  MISTAKE();
  p.fresh[thread_index()] = values[thread_index()];
}
RESNET_KERNEL(64, 1) write_host(RESNET_PARAMS(Params)) {
  float* const values = host_values;
  MISTAKE();
  values[thread_index()] = 1;
}
constexpr float table[4] = {1, 2, 3, 4};
RESNET_KERNEL(64, 1) reachable(RESNET_PARAMS(Params) p) {
  float local[5];
  for (unsigned i = 0; i < 5; ++i) local[i] = table[(thread_index() + i) % 4];
  host_values[thread_index()] = local[thread_index() % 5];
  p.fresh[thread_index()] = host_values[thread_index()];
}

TEST_F(AccessTest, HostMemory) {
  std::vector<float> heap(64, 1);
  float stack[64] = {};
  for (float* const values : {heap.data(), stack}) {
    host_values = values;
    expect_wrong(ReportKind::out_of_bounds, read_host);
    expect_wrong(ReportKind::out_of_bounds, write_host);
  }
  void* pinned = nullptr;
  ASSERT_EQ(cuda_api().cudaMallocHost(&pinned, sizeof stack), cudaSuccess);
  host_values = static_cast<float*>(pinned);
  EXPECT_EQ(texts(run(reachable)), "");  // ends with a reset, which frees the pinned memory
}

// Alignment.

RESNET_KERNEL(64, 1) aligned_word(RESNET_PARAMS(Params) p) {
  const auto* const words = reinterpret_cast<const std::uint64_t*>(p.x + 2);
  p.fresh[thread_index()] = static_cast<float>(words[thread_index()] & 1u);
}
RESNET_KERNEL(64, 1) misaligned_word(RESNET_PARAMS(Params) p) {
  const auto* const words = reinterpret_cast<const std::uint64_t*>(p.x + 1);
  MISTAKE();
  p.fresh[thread_index()] = static_cast<float>(words[thread_index()] & 1u);
}
TEST_F(AccessTest, Alignment) {
  expect_right(aligned_word);
  expect_wrong(ReportKind::misaligned, misaligned_word);
}

// Initialised bytes.

RESNET_KERNEL(64, 1) read_own_write(RESNET_PARAMS(Params) p) {
  p.fresh[thread_index()] = 3;
  p.fresh[64 + thread_index()] = p.fresh[thread_index()];
}
RESNET_KERNEL(64, 1) read_fresh(RESNET_PARAMS(Params) p) {
  MISTAKE();
  p.x[thread_index()] = p.fresh[thread_index()];
}
RESNET_KERNEL(64, 1) read_fresh_shared(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(65);
  tile[thread_index()] = 1;
  dev::sync_threads();
  MISTAKE();
  p.x[thread_index()] = tile[thread_index() + 1];
}
RESNET_KERNEL(64, 1) load_fresh(RESNET_PARAMS(Params) p) {
  MISTAKE();
  dev::store16(p.x + 4 * thread_index(), dev::load16(p.fresh + 4 * thread_index()));
}
TEST_F(AccessTest, Initialised) {
  expect_right(read_own_write);
  expect_wrong(ReportKind::uninitialised, read_fresh);
  expect_wrong(ReportKind::uninitialised, read_fresh_shared);
  expect_wrong(ReportKind::uninitialised, load_fresh);
}

// Races inside a block.

template <bool barrier>
RESNET_KERNEL(64, 1)
exchange(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(64);
  tile[thread_index()] = p.x[thread_index()];
  if (barrier) dev::sync_threads();
  p.fresh[thread_index()] = tile[63 - thread_index()];
}

template <bool barrier>
RESNET_KERNEL(64, 1)
reuse(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(64);
  for (int round = 0; round < 3; ++round) {
    tile[thread_index()] = p.x[thread_index()];
    dev::sync_threads();
    p.fresh[thread_index()] = tile[63 - thread_index()];
    if (barrier) dev::sync_threads();
  }
}

/// Lanes exchange through shared memory; a shuffle orders no memory.
template <int how>
RESNET_KERNEL(64, 1)
warp_exchange(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(64);
  tile[thread_index()] = p.x[thread_index()];
  if (how == 1) dev::sync_warp();
  if (how == 2) dev::shuffle(1.0f, 0);
  if (how == 3) dev::ballot(true);
  p.fresh[thread_index()] = tile[thread_index() ^ 31u];
}

/// The first warp writes, the second reads, through barrier 1 of both.
template <bool right>
RESNET_KERNEL(96, 1)
producer(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(32);
  if (warp() == 0) {
    tile[lane()] = 1;
    if (right) dev::arrive_named(1, 64);
    if (!right) dev::arrive_named(2, 64);
  } else if (warp() == 1) {
    if (right) dev::sync_named(1, 64);
    if (!right) dev::sync_named(3, 32);
    p.fresh[lane()] = tile[31 - lane()];
    if (!right) dev::sync_named(2, 64);
  }
}

template <int bytes>
RESNET_KERNEL(64, 1)
neighbours(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  std::uint8_t* const tile = arena.allocate<std::uint8_t>(64 * 2);
  if (bytes == 1) {
    tile[thread_index()] = 1;
  } else {
    reinterpret_cast<std::uint16_t*>(tile)[thread_index()] = 1;
  }
  reinterpret_cast<std::uint16_t*>(p.fresh)[thread_index()] = 1;
  dev::sync_threads();
  // Whole words again.
  if (thread_index() < 16) reinterpret_cast<std::uint32_t*>(tile)[thread_index()] += 1;
}
RESNET_KERNEL(64, 1) overlapping_halves(RESNET_PARAMS(Params) p) {
  reinterpret_cast<std::uint16_t*>(p.fresh)[thread_index() / 2] = 1;
}
/// Every lane reads, one writes.
template <bool right>
RESNET_KERNEL(64, 1)
broadcast(RESNET_PARAMS(Params) p) {
  p.fresh[thread_index()] = p.x[7];
  if (right) dev::sync_threads();
  if (thread_index() == 5) p.x[7] = 1;
}

TEST_F(AccessTest, RacesInABlock) {
  expect_right(exchange<true>);
  expect_race(exchange<false>);
  expect_right(reuse<true>);
  expect_race(reuse<false>);
  expect_right(warp_exchange<1>);
  expect_race(warp_exchange<0>);
  expect_race(warp_exchange<2>);
  expect_race(warp_exchange<3>);
  expect_right(producer<true>, 96);
  expect_race(producer<false>, 96);
  expect_right(neighbours<1>);
  expect_right(neighbours<2>);
  expect_race(overlapping_halves);
  expect_right(broadcast<true>);
  expect_race(broadcast<false>);
}

// Races between blocks.

RESNET_KERNEL(64, 1) own_part(RESNET_PARAMS(Params) p) { p.x[64 * dev::block_index().x + thread_index()] += 1; }
RESNET_KERNEL(64, 1) all_the_same(RESNET_PARAMS(Params) p) { p.x[thread_index()] += 1; }
RESNET_KERNEL(64, 1) read_the_neighbour(RESNET_PARAMS(Params) p) {
  const unsigned block = dev::block_index().x;
  const float value = p.x[64 * ((block + 1) % 4) + thread_index()];
  p.x[64 * block + thread_index()] = value;
}
/// The block that comes last adds what all have written.
template <int how>
RESNET_KERNEL(64, 1)
last_block(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  std::uint32_t* const last = arena.allocate<std::uint32_t>(1);
  const unsigned block = dev::block_index().x, blocks = dev::grid_size().x;
  p.fresh[64 * block + thread_index()] = 1;
  if (how != 1) dev::sync_threads();
  if (thread_index() == 0) {
    if (how == 2) {
      *last = (*p.count)++ == blocks - 1;
    } else {
      *last = dev::atomic_add(p.count, 1) == blocks - 1;
    }
  }
  dev::sync_threads();
  if (*last == 0) return;
  float sum = 0;
  for (unsigned i = 0; i < blocks; ++i) sum += p.fresh[64 * i + (thread_index() + 1) % 64];
  p.x[thread_index()] = sum;
  if (thread_index() == 0) *p.count = 0;
}

TEST_F(AccessTest, RacesBetweenBlocks) {
  expect_right(own_part, 64, 4);
  expect_race(all_the_same, 64, 2);
  expect_race(read_the_neighbour, 64, 4);
  expect_right(last_block<0>, 64, 4);
  expect_race(last_block<1>, 64, 4);
  expect_race(last_block<2>, 64, 4);
}

// Asynchronous copies.

/// Two stages. Mistakes: 1 waits for too few groups, 2 no barrier behind the wait, 3 the next copy before the barrier,
/// 4 skips empty commits.
template <int mistake>
RESNET_KERNEL(64, 1)
pipeline(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(2 * 64);
  const auto issue = [&](unsigned step) {
    if (step < 4) dev::cp_async4(tile + step % 2 * 64 + thread_index(), p.x + step * 64 + thread_index());
    if (mistake != 4 || step < 4) dev::cp_async_commit();
  };
  issue(0);
  for (unsigned step = 0; step < 4; ++step) {
    issue(step + 1);
    if (mistake == 1) {
      dev::cp_async_wait<2>();
    } else {
      dev::cp_async_wait<1>();
    }
    if (mistake != 2) dev::sync_threads();
    p.fresh[step * 64 + thread_index()] = tile[step % 2 * 64 + 63 - thread_index()];
    if (mistake != 3) dev::sync_threads();
  }
  dev::cp_async_wait<0>();
}
RESNET_KERNEL(64, 1) overwritten_source(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const tile = arena.allocate<float>(64);
  dev::cp_async4(tile + thread_index(), p.x + thread_index());
  dev::cp_async_commit();
  MISTAKE();
  p.x[thread_index()] = 5;
  dev::cp_async_wait<0>();
}
RESNET_KERNEL(32, 1) fragments(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  std::uint8_t* const tile = arena.allocate<std::uint8_t>(16 * 32);
  dev::cp_async16(tile + lane() * 16, p.x + lane() * 4);
  dev::cp_async_commit();
  dev::cp_async_wait<0>();
  std::uint32_t a[1][4];
  const void* const rows[1] = {tile + lane() % 16 * 32 + lane() / 16 * 16};
  dev::ldmatrix_a(a, rows);
  p.fresh[lane()] = static_cast<float>(a[0][0] & 1u);
}

TEST_F(AccessTest, AsynchronousCopies) {
  expect_right(pipeline<0>);
  expect_wrong(ReportKind::async_copy, overwritten_source);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    set_schedule({.seed = seed, .copies = static_cast<CopyPolicy>(seed % 3)});
    const auto found = [&](void (*kernel)(Params), ReportKind kind, unsigned threads = 64) {
      for (const Report& report : run(kernel, threads))
        if (report.kind == kind) return true;
      return false;
    };
    EXPECT_TRUE(found(pipeline<1>, ReportKind::async_copy)) << "seed " << seed;
    EXPECT_TRUE(found(pipeline<4>, ReportKind::async_copy)) << "seed " << seed;
    // Who is not ordered behind the copying thread's wait may come before it or after it.
    const auto touched = [&](void (*kernel)(Params), unsigned threads) {
      return found(kernel, ReportKind::race, threads) || found(kernel, ReportKind::async_copy, threads);
    };
    EXPECT_TRUE(touched(pipeline<2>, 64)) << "seed " << seed;
    EXPECT_TRUE(touched(pipeline<3>, 64)) << "seed " << seed;
    EXPECT_TRUE(touched(fragments, 32)) << "seed " << seed;
  }
}

struct LargeParams {
  float* end;
};
RESNET_KERNEL(64, 1) large_inside(RESNET_PARAMS(LargeParams) p) { *(p.end - 1 - thread_index()) += 1; }
RESNET_KERNEL(64, 1) large_behind(RESNET_PARAMS(LargeParams) p) {
  MISTAKE();
  if (thread_index() == 3) *p.end = 1;
}

TEST_F(AccessTest, ALargeAllocationCountsAsWrittenAndHasBounds) {
  constexpr std::size_t count = std::size_t{3} << 30;
  const DeviceArray<float> large(count);
  const auto launch = [&](void (*kernel)(LargeParams)) {
    return kernels::launch_kernel("large", kernel, {.threads = 64}, nullptr, LargeParams{large.data() + count});
  };
  EXPECT_EQ(launch(large_inside), cudaSuccess);
  EXPECT_EQ(texts(take_reports()), "");
  launch(large_behind);
  const std::vector<Report> reports = take_reports();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].kind, ReportKind::out_of_bounds);
  EXPECT_EQ(reports[0].line, wrong_line);
  reset();
}

TEST_F(AccessTest, ReportsNameBlockAndThread) {
  const std::vector<Report> reports = run(write_before, 64, 1);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].thread, 17);
  EXPECT_EQ(reports[0].kernel, "kernel");
  EXPECT_EQ(reports[0].block.x, 0u);
}

}  // namespace
}  // namespace resnet::sim
