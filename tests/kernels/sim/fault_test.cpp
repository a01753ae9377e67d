#include <memory>

#include "device_array.hpp"
#include "kernels/device/memory.hpp"
#include "kernels/device/mma.hpp"
#include "kernels/device/thread.hpp"

/// Wrong kernels, one per detector that needs no access hooks.
namespace resnet::sim {
namespace {

struct Params {
  float* x;
};

class FaultTest : public SimTest {
 protected:
  /// The first report of a launch that must fail, after a reset.
  static Report fault_of(void (*kernel)(Params), unsigned threads = 64, std::size_t shared_bytes = 1024) {
    void* memory = nullptr;
    EXPECT_EQ(cuda_api().cudaMalloc(&memory, 1024), cudaSuccess);
    EXPECT_EQ(kernels::launch_kernel("wrong", kernel, {.threads = threads, .shared_bytes = shared_bytes}, nullptr,
                                     Params{static_cast<float*>(memory)}),
              cudaSuccess);
    EXPECT_NE(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
    const std::vector<Report> reports = take_reports();
    EXPECT_FALSE(reports.empty());
    reset();
    EXPECT_EQ(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
    cuda_api().cudaGetLastError();
    return reports.empty() ? Report{} : reports.front();
  }
};

#define EXPECT_FAULT(fault, expected_kind, expected_line)            \
  do {                                                               \
    const Report report_ = (fault);                                  \
    EXPECT_EQ(report_.kind, expected_kind) << to_string(report_);    \
    EXPECT_EQ(report_.line, expected_line) << to_string(report_);    \
    EXPECT_EQ(report_.file, "fault_test.cpp") << to_string(report_); \
    EXPECT_EQ(report_.kernel, "wrong");                              \
  } while (false)

unsigned wrong_line = 0;  // set by the kernel beside its mistake

RESNET_KERNEL(64, 1) two_barriers(RESNET_PARAMS(Params)) {
  if (dev::thread_index() < 32) {
    dev::sync_threads();
  } else {
    dev::sync_threads();
  }
}
TEST_F(FaultTest, DifferentBarriers) { EXPECT_EQ(fault_of(two_barriers).kind, ReportKind::barrier); }

RESNET_KERNEL(64, 1) early_exit(RESNET_PARAMS(Params)) {
  if (dev::thread_index() == 40) return;
  dev::sync_threads(), wrong_line = __LINE__;
}
TEST_F(FaultTest, EarlyExit) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    set_schedule({.seed = seed});
    EXPECT_EQ(fault_of(early_exit).kind, ReportKind::barrier);
  }
}

RESNET_KERNEL(64, 1) missing_lanes(RESNET_PARAMS(Params)) {
  wrong_line = __LINE__ + 1;
  if (dev::lane() < 20) dev::sync_warp();
}
TEST_F(FaultTest, MissingLanes) { EXPECT_FAULT(fault_of(missing_lanes), ReportKind::deadlock, wrong_line); }

RESNET_KERNEL(64, 1) outside_the_mask(RESNET_PARAMS(Params)) {
  wrong_line = __LINE__ + 1;
  if (dev::lane() < 16) dev::shuffle(1.0f, 20, 32, 0xffffu);
}
TEST_F(FaultTest, LaneOutsideTheMask) { EXPECT_FAULT(fault_of(outside_the_mask), ReportKind::warp, wrong_line); }

RESNET_KERNEL(64, 1) not_in_own_mask(RESNET_PARAMS(Params)) {
  wrong_line = __LINE__ + 1;
  dev::sync_warp(0xffu);
}
TEST_F(FaultTest, LaneNotInItsMask) { EXPECT_FAULT(fault_of(not_in_own_mask), ReportKind::warp, wrong_line); }

RESNET_KERNEL(64, 1) named_barrier_short(RESNET_PARAMS(Params)) {
  wrong_line = __LINE__ + 1;
  if (dev::warp() == 0) dev::sync_named(1, 64);
}
TEST_F(FaultTest, NamedBarrierWithoutItsThreads) {
  EXPECT_FAULT(fault_of(named_barrier_short), ReportKind::deadlock, wrong_line);
}

/// Its consumer waits for one stage less than the producer makes.
RESNET_KERNEL(64, 1) arrival_left(RESNET_PARAMS(Params)) {
  if (dev::warp() == 0) {
    dev::arrive_named(1, 64);
    wrong_line = __LINE__ + 1;
    dev::arrive_named(2, 64);
  } else {
    dev::sync_named(1, 64);
  }
}
TEST_F(FaultTest, ArrivalThatNobodyWaitsFor) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    set_schedule({.seed = seed});
    EXPECT_FAULT(fault_of(arrival_left), ReportKind::barrier, wrong_line);
  }
}

RESNET_KERNEL(64, 1) named_barrier_size(RESNET_PARAMS(Params)) { dev::sync_named(1, dev::warp() == 0 ? 32 : 48); }
TEST_F(FaultTest, NamedBarrierOfOddSize) { EXPECT_EQ(fault_of(named_barrier_size).kind, ReportKind::barrier); }

RESNET_KERNEL(64, 1) too_much_shared(RESNET_PARAMS(Params)) {
  dev::SharedArena arena;
  arena.allocate<float>(200);
  wrong_line = __LINE__ + 1;
  arena.allocate<float>(57);
}
TEST_F(FaultTest, MoreSharedMemoryThanBooked) {
  EXPECT_FAULT(fault_of(too_much_shared), ReportKind::shared_memory, wrong_line);
}

RESNET_KERNEL(64, 1) misaligned_load(RESNET_PARAMS(Params) p) {
  wrong_line = __LINE__ + 1;
  dev::load16(p.x + 1);
}
TEST_F(FaultTest, MisalignedVector) {
  const Report report = fault_of(misaligned_load);
  EXPECT_FAULT(report, ReportKind::misaligned, wrong_line);
  EXPECT_GE(report.thread, 0);
}

struct Reach {
  const float* from;
  float* to;
};
RESNET_KERNEL(32, 1) copy_vector(RESNET_PARAMS(Reach) p) {
  alignas(16) const float local[4] = {};
  dev::load16(local);
  wrong_line = __LINE__ + 1;
  dev::store16(p.to, dev::load16(p.from));
}
alignas(16) constexpr float table[4] = {1, 2, 3, 4};
TEST_F(FaultTest, HostMemory) {
  const auto launch = [](const float* from, float* to) {
    EXPECT_EQ(kernels::launch_kernel("wrong", copy_vector, {.threads = 32}, nullptr, Reach{from, to}), cudaSuccess);
    return cuda_api().cudaDeviceSynchronize();
  };
  struct alignas(16) Vector {
    float values[4] = {1, 2, 3, 4};
  };
  Vector on_stack;
  const auto on_heap = std::make_unique<Vector>();
  for (float* const host : {on_stack.values, on_heap->values}) {
    for (const bool writes : {false, true}) {
      void* memory = nullptr;
      ASSERT_EQ(cuda_api().cudaMalloc(&memory, 16), cudaSuccess);
      auto* const device = static_cast<float*>(memory);
      EXPECT_EQ(writes ? launch(device, host) : launch(host, device), cudaErrorIllegalAddress);
      const std::vector<Report> reports = take_reports();
      ASSERT_EQ(reports.size(), 1u) << texts(reports);
      EXPECT_FAULT(reports.front(), ReportKind::out_of_bounds, wrong_line);
      reset();
      cuda_api().cudaGetLastError();
    }
  }
  void* pinned = nullptr;
  ASSERT_EQ(cuda_api().cudaMallocHost(&pinned, 16), cudaSuccess);
  EXPECT_EQ(launch(table, static_cast<float*>(pinned)), cudaSuccess);
  EXPECT_EQ(static_cast<const float*>(pinned)[3], 4);
  EXPECT_EQ(cuda_api().cudaFreeHost(pinned), cudaSuccess);
}

RESNET_KERNEL(64, 1) shared_overflow(RESNET_PARAMS(Params)) {
  dev::SharedArena arena;
  wrong_line = __LINE__ + 1;
  float* const x = arena.allocate<float>(64);
  x[dev::thread_index() + 1] = 1;
}
TEST_F(FaultTest, WriteBehindASharedRegion) { EXPECT_FAULT(fault_of(shared_overflow), ReportKind::canary, wrong_line); }

RESNET_KERNEL(64, 1) global_overflow(RESNET_PARAMS(Params) p) { p.x[256 + dev::thread_index()] = 1; }
TEST_F(FaultTest, WriteBehindAnAllocation) {
  const Report report = fault_of(global_overflow);
  EXPECT_EQ(report.kind, ReportKind::canary);
  EXPECT_EQ(report.kernel, "wrong");
}

RESNET_KERNEL(64, 1) copy_in_flight(RESNET_PARAMS(Params) p) {
  dev::SharedArena arena;
  float* const x = arena.allocate<float>(256);
  wrong_line = __LINE__ + 1;
  dev::cp_async16(x + 4 * dev::thread_index(), p.x);
  dev::cp_async_wait<0>();
}
TEST_F(FaultTest, CopyWithoutCommit) { EXPECT_FAULT(fault_of(copy_in_flight), ReportKind::async_copy, wrong_line); }

RESNET_KERNEL(64, 1) trapping(RESNET_PARAMS(Params)) {
  wrong_line = __LINE__ + 1;
  if (dev::thread_index() == 33) dev::trap("as told");
}
TEST_F(FaultTest, Trap) {
  const Report report = fault_of(trapping);
  EXPECT_FAULT(report, ReportKind::trap, wrong_line);
  EXPECT_EQ(report.thread, 33);
}

RESNET_KERNEL(32, 1) bf16_product(RESNET_PARAMS(Params)) {
  float c[1][1][4] = {};
  const std::uint32_t a[1][4] = {}, b[1][2] = {};
  wrong_line = __LINE__ + 1;
  dev::mma<dev::bfloat16>(c, a, b);
}
TEST_F(FaultTest, WhatTheDeviceLacks) {
  set_devices({PretendDevice{.sm = 75}});
  EXPECT_FAULT(fault_of(bf16_product, 32), ReportKind::unsupported, wrong_line);
}

RESNET_KERNEL(64, 1) wild_write(RESNET_PARAMS(Params) p) {
  if (dev::thread_index() == 9) p.x[1 << 24] = 1;
}
RESNET_KERNEL(64, 1) wild_vector_write(RESNET_PARAMS(Params) p) {
  if (dev::thread_index() == 9) dev::store16(p.x + (1 << 24), {});
}
TEST_F(FaultTest, WriteWhereNoMemoryIs) {
  for (const auto& kernel : {wild_write, wild_write, wild_vector_write, wild_vector_write}) {
    const Report report = fault_of(kernel);
    EXPECT_EQ(report.kind, ReportKind::out_of_bounds);
    EXPECT_EQ(report.thread, 9);
  }
}

/// No compiler can make a loop of it: every call reads its caller's frame when it is done.
[[gnu::noinline]] int descend(int depth, const volatile char* above) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(depth);
  const int below = depth == 0 ? 0 : descend(depth - 1, frame);
  return below + frame[0] + above[0];
}
RESNET_KERNEL(64, 1) deep_recursion(RESNET_PARAMS(Params) p) {
  const volatile char top = 0;
  p.x[0] = static_cast<float>(descend(1000, &top));
}
TEST_F(FaultTest, StackThatIsTooSmall) {
  for (int i = 0; i < 2; ++i) {
    const Report report = fault_of(deep_recursion);
    EXPECT_EQ(report.kind, ReportKind::out_of_bounds);
    EXPECT_NE(report.message.find("stack"), std::string::npos) << report.message;
  }
}

TEST_F(FaultTest, AFaultIsStickyUntilReset) {
  void* memory = nullptr;
  ASSERT_EQ(cuda_api().cudaMalloc(&memory, 1024), cudaSuccess);
  ASSERT_EQ(kernels::launch_kernel("wrong", trapping, {.threads = 64}, nullptr, Params{}), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  EXPECT_EQ(cuda_api().cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cuda_api().cudaGetLastError(), cudaErrorLaunchFailure);
  void* more = nullptr;
  EXPECT_EQ(cuda_api().cudaMalloc(&more, 1024), cudaErrorLaunchFailure);
  take_reports();
  reset();
  EXPECT_EQ(cuda_api().cudaGetLastError(), cudaErrorLaunchFailure) << "the last call's error is this thread's";
  EXPECT_EQ(cuda_api().cudaGetLastError(), cudaSuccess);
}

/// Of the device of an event, not of the current one.
TEST_F(FaultTest, AnEventHasTheErrorsOfItsDevice) {
  set_devices({PretendDevice{}, PretendDevice{}});
  set_schedule({.streams = StreamPolicy::latest});
  cudaEvent_t events[2] = {};
  cudaStream_t streams[2] = {};
  for (const int device : {0, 1}) {
    ASSERT_EQ(cuda_api().cudaSetDevice(device), cudaSuccess);
    ASSERT_EQ(cuda_api().cudaStreamCreateWithFlags(&streams[device], cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cuda_api().cudaEventCreateWithFlags(&events[device], cudaEventDisableTiming), cudaSuccess);
    if (device == 1) {
      ASSERT_EQ(kernels::launch_kernel("wrong", trapping, {.threads = 64}, streams[1], Params{}), cudaSuccess);
    }
    ASSERT_EQ(cuda_api().cudaEventRecord(events[device], streams[device]), cudaSuccess);
  }
  ASSERT_EQ(cuda_api().cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaEventSynchronize(events[1]), cudaErrorLaunchFailure);
  EXPECT_EQ(cuda_api().cudaEventSynchronize(events[0]), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaEventSynchronize(events[0]), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaEventQuery(events[1]), cudaErrorLaunchFailure);
  ASSERT_EQ(cuda_api().cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(take_reports().size(), 1u);
  reset();
  cuda_api().cudaGetLastError();
}

}  // namespace
}  // namespace resnet::sim
