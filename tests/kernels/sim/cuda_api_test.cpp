#include <algorithm>
#include <cstring>

#include "device_array.hpp"
#include "kernels/device/thread.hpp"

namespace resnet::sim {
namespace {

struct IncrementParams {
  int* x;
  int by;
};
RESNET_KERNEL(32, 1) increment_kernel(RESNET_PARAMS(IncrementParams) p) { p.x[dev::thread_index()] += p.by; }

cudaError_t increment(const DeviceArray<int>& x, int by, cudaStream_t stream) {
  return kernels::launch_kernel("increment", increment_kernel, {.threads = 32}, stream, IncrementParams{x.data(), by});
}

class Stream {
 public:
  Stream() { EXPECT_EQ(cuda_api().cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), cudaSuccess); }
  ~Stream() { cuda_api().cudaStreamDestroy(handle_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return handle_; }

 private:
  cudaStream_t handle_ = nullptr;
};

TEST_F(SimTest, ALateStreamRunsWhenSomebodyWaits) {
  set_schedule({.streams = StreamPolicy::latest});
  const DeviceArray<int> x(std::vector<int>(32, 1));
  const Stream stream;
  ASSERT_EQ(increment(x, 5, stream), cudaSuccess);
  EXPECT_EQ(x.values()[3], 1) << "a non-blocking stream must not run because of a copy on the legacy stream";
  EXPECT_EQ(cuda_api().cudaStreamQuery(stream), cudaErrorNotReady);
  EXPECT_EQ(cuda_api().cudaStreamQuery(stream), cudaSuccess);
  EXPECT_EQ(x.values()[3], 6);
  ASSERT_EQ(increment(x, 5, stream), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values()[3], 11);
}

TEST_F(SimTest, ALateCopyFromPageableMemoryIsOnlyStaged) {
  const DeviceArray<int> x(std::vector<int>(32, 1));
  set_schedule({.streams = StreamPolicy::latest});
  const Stream stream;
  std::vector<int> host(32, 40);
  ASSERT_EQ(cuda_api().cudaMemcpy(x.data(), host.data(), 32 * sizeof(int), cudaMemcpyHostToDevice), cudaSuccess);
  host.assign(32, 0);
  ASSERT_EQ(increment(x, 5, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values()[3], 40) << "nothing orders the kernel behind the copy, so it may run before";
  ASSERT_EQ(cuda_api().cudaMemcpy(x.data(), host.data(), 32 * sizeof(int), cudaMemcpyHostToDevice), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
  ASSERT_EQ(increment(x, 5, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values()[3], 5);
}

TEST_F(SimTest, ALateCopyFromPinnedMemoryIsComplete) {
  const DeviceArray<int> x(std::vector<int>(32, 1));
  set_schedule({.streams = StreamPolicy::latest});
  const Stream stream;
  void* memory = nullptr;
  ASSERT_EQ(cuda_api().cudaMallocHost(&memory, 32 * sizeof(int)), cudaSuccess);
  auto* const host = static_cast<int*>(memory);
  std::fill_n(host, 32, 40);
  ASSERT_EQ(cuda_api().cudaMemcpy(x.data(), host, 32 * sizeof(int), cudaMemcpyHostToDevice), cudaSuccess);
  ASSERT_EQ(increment(x, 5, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values()[3], 45);
  EXPECT_EQ(cuda_api().cudaFreeHost(memory), cudaSuccess);
}

TEST_F(SimTest, ALateCopyInsideADeviceDoesNotMakeTheHostWait) {
  const DeviceArray<int> x(std::vector<int>(32, 1)), y(std::vector<int>(32, 2));
  set_schedule({.streams = StreamPolicy::latest});
  const Stream stream;
  ASSERT_EQ(cuda_api().cudaMemcpy(x.data(), y.data(), 32 * sizeof(int), cudaMemcpyDeviceToDevice), cudaSuccess);
  ASSERT_EQ(increment(x, 5, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values()[3], 2) << "nothing orders the kernel behind the copy, so it may run before";
}

TEST_F(SimTest, DestroyingALateStreamDoesNotWaitForItsWork) {
  set_schedule({.streams = StreamPolicy::latest});
  const DeviceArray<int> x(std::vector<int>(32, 1));
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cuda_api().cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  {
    const Stream stream;
    ASSERT_EQ(increment(x, 5, stream), cudaSuccess);
    ASSERT_EQ(cuda_api().cudaEventRecord(event, stream), cudaSuccess);
    ASSERT_EQ(increment(x, 100, stream), cudaSuccess);
  }
  EXPECT_EQ(x.values()[3], 1) << "who frees or reuses the memory now races with the stream's work";
  EXPECT_EQ(cuda_api().cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(x.values()[3], 6);
  EXPECT_EQ(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(x.values()[3], 106);
  EXPECT_EQ(cuda_api().cudaEventDestroy(event), cudaSuccess);
}

TEST_F(SimTest, TheLegacyStreamWaitsForADestroyedBlockingStream) {
  set_schedule({.streams = StreamPolicy::latest});
  const DeviceArray<int> x(std::vector<int>(32, 1));
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cuda_api().cudaStreamCreateWithFlags(&stream, cudaStreamDefault), cudaSuccess);
  ASSERT_EQ(increment(x, 5, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(x.values()[3], 6);
}

TEST_F(SimTest, AnEventOrdersLateStreams) {
  set_schedule({.streams = StreamPolicy::latest});
  const DeviceArray<int> x(std::vector<int>(32, 1));
  const Stream first, second;
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cuda_api().cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(increment(x, 5, first), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaEventRecord(event, first), cudaSuccess);
  ASSERT_EQ(increment(x, 100, first), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamWaitEvent(second, event, 0), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamSynchronize(second), cudaSuccess);
  EXPECT_EQ(x.values()[0], 6) << "what was enqueued behind the event need not have run";
  ASSERT_EQ(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(x.values()[0], 106);
  EXPECT_EQ(cuda_api().cudaEventDestroy(event), cudaSuccess);
}

TEST_F(SimTest, AGraphKeepsTheArgumentsOfItsCapture) {
  const DeviceArray<int> x(std::vector<int>(32, 1));
  const Stream stream, other;
  cudaEvent_t fork = nullptr, join = nullptr;
  ASSERT_EQ(cuda_api().cudaEventCreateWithFlags(&fork, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaEventCreateWithFlags(&join, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  ASSERT_EQ(increment(x, 1, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaEventRecord(fork, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamWaitEvent(other, fork, 0), cudaSuccess);
  ASSERT_EQ(increment(x, 2, other), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaEventRecord(join, other), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamWaitEvent(stream, join, 0), cudaSuccess);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cuda_api().cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT_EQ(x.values()[0], 1) << "a capture runs nothing";
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cuda_api().cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaGraphDestroy(graph), cudaSuccess);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(cuda_api().cudaGraphLaunch(exec, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values()[31], 7);
  EXPECT_EQ(cuda_api().cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaEventDestroy(fork), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaEventDestroy(join), cudaSuccess);
}

TEST_F(SimTest, ACaptureThatIsNotJoinedFails) {
  const DeviceArray<int> x(std::vector<int>(32, 1));
  const Stream stream, other;
  cudaEvent_t fork = nullptr;
  ASSERT_EQ(cuda_api().cudaEventCreateWithFlags(&fork, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  ASSERT_EQ(increment(x, 1, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaEventRecord(fork, stream), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamWaitEvent(other, fork, 0), cudaSuccess);
  ASSERT_EQ(increment(x, 2, other), cudaSuccess);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cuda_api().cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph, nullptr);
  EXPECT_EQ(cuda_api().cudaEventDestroy(fork), cudaSuccess);
}

TEST_F(SimTest, SynchronizingACaptureEndsIt) {
  const Stream stream;
  ASSERT_EQ(cuda_api().cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  void* memory = nullptr;
  EXPECT_EQ(cuda_api().cudaMalloc(&memory, 16), cudaErrorStreamCaptureUnsupported);
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  EXPECT_EQ(cuda_api().cudaStreamIsCapturing(stream, &status), cudaSuccess);
  EXPECT_EQ(status, cudaStreamCaptureStatusInvalidated);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cuda_api().cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cuda_api().cudaMalloc(&memory, 16), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaFree(memory), cudaSuccess);
}

TEST_F(SimTest, DestroyingACapturingStreamEndsItsCapture) {
  const DeviceArray<int> x(std::vector<int>(32, 1));
  const Stream forked;
  cudaEvent_t fork = nullptr;
  ASSERT_EQ(cuda_api().cudaEventCreateWithFlags(&fork, cudaEventDisableTiming), cudaSuccess);
  {
    const Stream origin;
    ASSERT_EQ(cuda_api().cudaStreamBeginCapture(origin, cudaStreamCaptureModeGlobal), cudaSuccess);
    ASSERT_EQ(increment(x, 1, origin), cudaSuccess);
    ASSERT_EQ(cuda_api().cudaEventRecord(fork, origin), cudaSuccess);
    ASSERT_EQ(cuda_api().cudaStreamWaitEvent(forked, fork, 0), cudaSuccess);
  }
  EXPECT_EQ(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusActive;
  EXPECT_EQ(cuda_api().cudaStreamIsCapturing(forked, &status), cudaSuccess);
  EXPECT_EQ(status, cudaStreamCaptureStatusNone);
  EXPECT_EQ(cuda_api().cudaEventSynchronize(fork), cudaSuccess);
  ASSERT_EQ(increment(x, 5, forked), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaStreamSynchronize(forked), cudaSuccess);
  EXPECT_EQ(x.values()[0], 6);
  EXPECT_EQ(cuda_api().cudaEventDestroy(fork), cudaSuccess);
}

TEST_F(SimTest, DestroyingAForkedStreamSpoilsTheCapture) {
  const DeviceArray<int> x(std::vector<int>(32, 1));
  const Stream origin;
  cudaEvent_t fork = nullptr;
  ASSERT_EQ(cuda_api().cudaEventCreateWithFlags(&fork, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaStreamBeginCapture(origin, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaEventRecord(fork, origin), cudaSuccess);
  {
    const Stream forked;
    ASSERT_EQ(cuda_api().cudaStreamWaitEvent(forked, fork, 0), cudaSuccess);
  }
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cuda_api().cudaStreamEndCapture(origin, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(x.values()[0], 1);
  EXPECT_EQ(cuda_api().cudaEventDestroy(fork), cudaSuccess);
}

TEST_F(SimTest, MemoryEndsWhereTheDeviceSays) {
  set_devices({PretendDevice{.sm = 75, .multiprocessors = 40, .memory_bytes = 1 << 20}, PretendDevice{}});
  cudaDeviceProp properties;
  ASSERT_EQ(cuda_api().cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(properties.major * 10 + properties.minor, 75);
  EXPECT_EQ(properties.multiProcessorCount, 40);
  void *first = nullptr, *second = nullptr;
  EXPECT_EQ(cuda_api().cudaMalloc(&first, 1 << 20), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaMalloc(&second, 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ(cuda_api().cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cuda_api().cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(allocated_bytes(), std::size_t{1} << 20);
  ASSERT_EQ(cuda_api().cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaMalloc(&second, 1), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_EQ(cuda_api().cudaFree(first), cudaSuccess);
  EXPECT_EQ(cuda_api().cudaFree(first), cudaErrorInvalidValue);
  EXPECT_EQ(cuda_api().cudaFree(second), cudaSuccess);
  cuda_api().cudaGetLastError();
  ASSERT_EQ(cuda_api().cudaSetDevice(0), cudaSuccess);
}

TEST_F(SimTest, CopiesStayInsideAllocations) {
  const DeviceArray<int> x(std::vector<int>(8, 1));
  int host[16] = {};
  EXPECT_EQ(cuda_api().cudaMemcpy(host, x.data(), sizeof host, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cuda_api().cudaMemset(x.data() + 1, 0, 8 * sizeof(int)), cudaErrorInvalidValue);
  EXPECT_EQ(cuda_api().cudaMemcpy(host, x.data(), 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(take_reports().size(), 2u);
}

TEST_F(SimTest, LaunchesThatNoDeviceTakesAreRefused) {
  const DeviceArray<int> x(std::vector<int>(32, 1));
  const IncrementParams params{x.data(), 1};
  const auto with = [&](const kernels::LaunchShape& shape) {
    return kernels::launch_kernel("increment", increment_kernel, shape, nullptr, params);
  };
  EXPECT_EQ(with({.blocks_x = 0}), cudaErrorInvalidConfiguration);
  EXPECT_EQ(with({.blocks_y = 65536}), cudaErrorInvalidConfiguration);
  EXPECT_EQ(with({.threads = 1025}), cudaErrorInvalidConfiguration);
  EXPECT_EQ(with({.threads = 32, .shared_bytes = 228 * 1024}), cudaErrorInvalidValue);
  EXPECT_EQ(with({.threads = 32, .shared_bytes = 227 * 1024}), cudaSuccess);
  EXPECT_EQ(x.values()[0], 2);
}

struct RecordParams {
  std::uint32_t* count;
  std::uint32_t* blocks;
};
RESNET_KERNEL(32, 1) record_kernel(RESNET_PARAMS(RecordParams) p) {
  if (dev::thread_index() == 0) p.blocks[dev::atomic_add(p.count, 1)] = dev::block_index().x;
}

TEST_F(SimTest, ASampleOfAGridIsItsFirstMiddleAndLastBlocks) {
  set_schedule({.sampled_blocks = 2});
  const DeviceArray<std::uint32_t> count(std::vector<std::uint32_t>{0}), blocks(12);
  ASSERT_EQ(kernels::launch_kernel("record", record_kernel, {.blocks_x = 0x7fffffff, .blocks_y = 2, .threads = 32},
                                   nullptr, RecordParams{count.data(), blocks.data()}),
            cudaSuccess);
  std::vector<std::uint32_t> ran = blocks.values();
  std::sort(ran.begin(), ran.end());
  EXPECT_EQ(ran, (std::vector<std::uint32_t>{0, 0, 1, 1, 0x3ffffffe, 0x3ffffffe, 0x3fffffff, 0x3fffffff, 0x7ffffffd,
                                             0x7ffffffd, 0x7ffffffe, 0x7ffffffe}));
}

TEST_F(SimTest, ALargeAllocationTakesMemoryWhereItIsUsed) {
  constexpr std::size_t count = std::size_t{3} << 30, bytes = count * sizeof(int);
  // Twice: the addresses of the first one are used again, and are zero again.
  for (int i = 0; i < 2; ++i) {
    void* memory = nullptr;
    ASSERT_EQ(cuda_api().cudaMalloc(&memory, bytes), cudaSuccess);
    int* const last = static_cast<int*>(memory) + count - 32;
    ASSERT_EQ(kernels::launch_kernel("increment", increment_kernel, {.threads = 32}, nullptr, IncrementParams{last, 5}),
              cudaSuccess);
    int value = 0;
    ASSERT_EQ(cuda_api().cudaMemcpy(&value, last + 31, sizeof value, cudaMemcpyDeviceToHost), cudaSuccess);
    EXPECT_EQ(value, 5);
    EXPECT_EQ(cuda_api().cudaFree(memory), cudaSuccess);
  }
}

TEST_F(SimTest, HasNoDeviceWhenToldSo) {
  set_devices({});
  int count = -1;
  EXPECT_EQ(cuda_api().cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(cuda_api().cudaGetLastError(), cudaErrorNoDevice);
}

}  // namespace
}  // namespace resnet::sim
