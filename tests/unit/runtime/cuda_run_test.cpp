// How a session on a GPU is called: streams, recordings, staging, processes, devices. On the emulator, with a network
// that takes microseconds there.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/compiled_for.hpp"
#include "kernels/sim/emulator.hpp"
#include "resnet_engine/device.hpp"
#include "resnet_engine/session.hpp"
#include "support/cuda_injector.hpp"
#include "support/error_of.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet {
namespace {

using test::CudaInjector;
using Counts = std::map<std::string, int>;

/// Device memory with float values.
class OnDevice {
 public:
  explicit OnDevice(const std::vector<float>& values) : count_(values.size()) {
    EXPECT_EQ(cuda_api().cudaMalloc(&data_, bytes()), cudaSuccess);
    EXPECT_EQ(cuda_api().cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
    EXPECT_EQ(cuda_api().cudaDeviceSynchronize(), cudaSuccess);
  }
  ~OnDevice() { cuda_api().cudaFree(data_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  void* data() const { return data_; }
  /// As they are now: waits for nothing but the copy itself.
  std::vector<float> values() const {
    std::vector<float> values(count_);
    EXPECT_EQ(cuda_api().cudaMemcpy(values.data(), data_, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  std::size_t bytes() const { return count_ * sizeof(float); }
  void* data_ = nullptr;
  std::size_t count_;
};

/// A non-blocking stream.
class CallersStream {
 public:
  CallersStream() { EXPECT_EQ(cuda_api().cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess); }
  ~CallersStream() { cuda_api().cudaStreamDestroy(stream_); }
  CallersStream(const CallersStream&) = delete;
  CallersStream& operator=(const CallersStream&) = delete;
  cudaStream_t get() const { return stream_; }
  void synchronize() const { EXPECT_EQ(cuda_api().cudaStreamSynchronize(stream_), cudaSuccess); }

 private:
  cudaStream_t stream_ = nullptr;
};

std::vector<float> picture(std::int64_t n, std::int64_t size, float value) {
  return std::vector<float>(static_cast<std::size_t>(n * size * size * 3), value);
}
ConstTensorView view(const std::vector<float>& x, std::int64_t n, std::int64_t size) {
  return {x.data(), n, size, size, 3};
}
ConstTensorView view(const OnDevice& x, std::int64_t n, std::int64_t size) {
  return {x.data(), n, size, size, 3, DType::f32, Layout::nhwc, MemoryKind::device};
}
TensorView view(const OnDevice& y, std::int64_t n) {
  return {y.data(), n, 1, 1, 4, DType::f32, Layout::nhwc, MemoryKind::device};
}

std::vector<float> run(Session& session, std::int64_t n, std::int64_t size, float value) {
  const auto x = picture(n, size, value);
  std::vector<float> y(static_cast<std::size_t>(n * 4));
  session.run(view(x, n, size), {y.data(), n, 1, 1, 4});
  return y;
}

/// What the tiny model says of a picture of one colour.
std::vector<float> answer(float value) { return {8 * value, 8 * value, 8 * value, 2}; }

template <class Call>
std::string failure(const Call& call, ErrorCode code) {
  const Error error = test::error_of(call);
  EXPECT_EQ(error.code(), code) << error.what();
  return error.what();
}

class CudaRun : public testing::Test {
 protected:
  CudaRun() {
    sim::reset();
    sim::set_devices({{}});
    const std::string path = folder_ / "tiny.rne";
    test::write_tiny_model(path);
    model_ = std::make_unique<Model>(Model::load(path));
  }
  ~CudaRun() override {
    for (const sim::Report& report : sim::take_reports()) ADD_FAILURE() << to_string(report);
    model_.reset();
    EXPECT_EQ(sim::allocated_bytes(), 0u) << "device memory that nobody freed";
    sim::set_schedule({});
    sim::set_devices({{}});
  }
  Session session(SessionOptions options = {}) {
    if (options.device == "auto") options.device = "cuda:0";
    return Session(*model_, options);
  }

  test::ScratchFolder folder_;
  std::unique_ptr<Model> model_;
};

TEST_F(CudaRun, EnqueuesOneGraphAndWaitsOnce) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Session session = this->session({.precision = precision});
    EXPECT_EQ(run(session, 1, 8, 0.25f), answer(0.25f));
    CudaInjector calls;
    EXPECT_EQ(run(session, 1, 8, 0.5f), answer(0.5f));
    EXPECT_EQ(CudaInjector::counts,
              (Counts{{"cudaGetDevice", 1}, {"cudaGraphLaunch", 1}, {"cudaStreamSynchronize", 1}}));
  }
}

/// What prepare() makes ahead is what the first run replays.
TEST_F(CudaRun, ReplaysTheFirstRunBehindPrepare) {
  Session session = this->session();
  session.prepare(2, 8, 8);
  CudaInjector calls;
  session.prepare(2, 8, 8);
  EXPECT_EQ(CudaInjector::counts, Counts{}) << "it is prepared";
  run(session, 2, 8, 0.5f);
  EXPECT_EQ(CudaInjector::counts, (Counts{{"cudaGetDevice", 1}, {"cudaGraphLaunch", 1}, {"cudaStreamSynchronize", 1}}));
}

TEST_F(CudaRun, GivesARecordingOtherTensors) {
  Session session = this->session({.precision = Precision::bf16});
  const OnDevice dark(picture(1, 8, 0.25f)), light(picture(1, 8, 0.75f)), first(answer(0)), second(answer(0));
  for (int round = 0; round < 2; ++round) {
    session.run(view(dark, 1, 8), view(first, 1));
    session.run(view(light, 1, 8), view(second, 1));
    EXPECT_EQ(first.values(), answer(0.25f));
    EXPECT_EQ(second.values(), answer(0.75f));
  }
  CudaInjector calls;
  session.run(view(light, 1, 8), view(first, 1));
  EXPECT_EQ(first.values(), answer(0.75f));
  EXPECT_EQ(CudaInjector::counts["cudaGraphExecMemcpyNodeSetParams1D"], 1) << "the input is where it was";
  EXPECT_EQ(CudaInjector::counts["launch_kernel"], 0);
}

/// Work runs as late as it may: what is not ordered is not done when it is looked at.
TEST_F(CudaRun, OrdersTheStreamsOfItsCaller) {
  Session session = this->session();
  sim::Schedule late;
  late.streams = sim::StreamPolicy::latest;
  sim::set_schedule(late);
  const OnDevice dark(picture(1, 8, 0.25f)), light(picture(1, 8, 0.75f)), first(answer(0)), second(answer(0));
  const CallersStream a, b;
  for (int round = 0; round < 3; ++round) {
    session.enqueue(view(dark, 1, 8), view(first, 1), a.get());
    session.enqueue(view(light, 1, 8), view(second, 1), b.get());
    b.synchronize();
    EXPECT_EQ(second.values(), answer(0.75f));
    EXPECT_EQ(first.values(), answer(0.25f)) << "the second stream did not wait for the first in round " << round;
    cuda_api().cudaMemset(first.data(), 0xff, 16);
    cuda_api().cudaMemset(second.data(), 0xff, 16);
    cuda_api().cudaDeviceSynchronize();
  }
  session.enqueue(view(dark, 1, 8), view(first, 1), a.get());
  EXPECT_EQ(run(session, 1, 8, 0.5f), answer(0.5f));
  EXPECT_EQ(first.values(), answer(0.25f)) << "run() did not wait for the caller's stream";
  session.enqueue(view(dark, 1, 8), view(second, 1), nullptr);  // the legacy stream
  EXPECT_EQ(second.values(), answer(0.25f));
}

/// Sessions share the weights and nothing else.
TEST_F(CudaRun, LetsTwoSessionsRunOnTwoStreams) {
  Session one = session(), other = session({.precision = Precision::bf16});
  sim::Schedule late;
  late.streams = sim::StreamPolicy::latest;
  sim::set_schedule(late);
  const OnDevice dark(picture(2, 8, 0.25f)), light(picture(1, 8, 0.75f)), first(answer(0)), second(answer(0));
  const CallersStream a, b;
  const OnDevice two(std::vector<float>(8));
  for (int round = 0; round < 3; ++round) {
    one.enqueue(view(dark, 2, 8), view(two, 2), a.get());
    other.enqueue(view(light, 1, 8), view(second, 1), b.get());
    one.enqueue(view(light, 1, 8), view(first, 1), a.get());
    b.synchronize();
    EXPECT_EQ(second.values(), answer(0.75f));
    a.synchronize();
    EXPECT_EQ(first.values(), answer(0.75f));
    EXPECT_EQ(two.values(), (std::vector<float>{2, 2, 2, 2, 2, 2, 2, 2}));
    for (const OnDevice* y : {&first, &second, &two}) cuda_api().cudaMemset(y->data(), 0xff, 16);
    cuda_api().cudaDeviceSynchronize();
  }
}

TEST_F(CudaRun, EnqueuesWithoutWaiting) {
  Session session = this->session();
  const OnDevice x(picture(1, 8, 0.25f)), y(answer(0));
  const CallersStream stream;
  session.enqueue(view(x, 1, 8), view(y, 1), stream.get());
  stream.synchronize();
  CudaInjector calls;
  session.enqueue(view(x, 1, 8), view(y, 1), stream.get());
  // After the record of the first run the session's own stream is idle, so nothing waits for anything.
  EXPECT_EQ(
      CudaInjector::counts,
      (Counts{{"cudaGetDevice", 1}, {"cudaStreamIsCapturing", 1}, {"cudaGraphLaunch", 1}, {"cudaEventRecord", 1}}));
  stream.synchronize();
  EXPECT_EQ(y.values(), answer(0.25f));
}

/// What the session itself does for a run: CUDA's own calls take no time here.
TEST_F(CudaRun, CostsTheHostMicroseconds) {
  if (RESNET_SANITIZED) GTEST_SKIP() << "measures time";
  Session session = this->session();
  const OnDevice x(picture(1, 8, 0.25f)), y(answer(0));
  session.run(view(x, 1, 8), view(y, 1));
  CudaInjector calls;
  calls.api().cudaGetDevice = built_in_cuda_api().cudaGetDevice;
  calls.api().cudaGraphLaunch = [](cudaGraphExec_t, cudaStream_t) { return cudaSuccess; };
  calls.api().cudaStreamSynchronize = [](cudaStream_t) { return cudaSuccess; };
  double least = 1e9;
  for (int round = 0; round < 20; ++round) {
    constexpr int runs = 500;
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < runs; ++i) session.run(view(x, 1, 8), view(y, 1));
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
    least = std::min(least, took.count() / runs);
  }
  RecordProperty("microseconds", std::to_string(least));
  EXPECT_LE(least, 5);
}

TEST_F(CudaRun, RefusesWhatItCannotEnqueue) {
  Session session = this->session();
  const OnDevice x(picture(1, 8, 0.25f)), y(answer(0));
  const CallersStream stream;
  const auto host = picture(1, 8, 0.25f);
  std::vector<float> host_y(4);
  EXPECT_NE(failure([&] { session.enqueue(view(host, 1, 8), view(y, 1), stream.get()); }, ErrorCode::invalid_argument)
                .find("host memory"),
            std::string::npos);
  EXPECT_NE(failure(
                [&] {
                  session.enqueue(view(x, 1, 8), {host_y.data(), 1, 1, 1, 4}, stream.get());
                },
                ErrorCode::invalid_argument)
                .find("host memory"),
            std::string::npos);
  session.prepare(1, 8, 8);
  ASSERT_EQ(cuda_api().cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_NE(failure([&] { session.enqueue(view(x, 1, 8), view(y, 1), stream.get()); }, ErrorCode::invalid_argument)
                .find("being captured"),
            std::string::npos);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cuda_api().cudaStreamEndCapture(stream.get(), &graph), cudaSuccess);
  cuda_api().cudaGraphDestroy(graph);
  session.enqueue(view(x, 1, 8), view(y, 1), stream.get());
  stream.synchronize();
  EXPECT_EQ(y.values(), answer(0.25f));
  Session cpu(*model_, {.device = "reference"});
  EXPECT_NE(
      failure([&] { cpu.enqueue(view(x, 1, 8), view(y, 1), nullptr); }, ErrorCode::unsupported).find("no streams"),
      std::string::npos);
}

TEST_F(CudaRun, KeepsEightRecordings) {
  Session session = this->session({.max_plans = 12});
  CudaInjector calls;
  const auto kept = [] {
    return CudaInjector::counts["cudaGraphInstantiate"] - CudaInjector::counts["cudaGraphExecDestroy"];
  };
  for (int round = 0; round < 2; ++round) {
    for (const std::int64_t n : {12, 11, 10, 9, 8, 7, 6, 5, 4, 3}) {  // the arena never grows
      const auto y = run(session, n, 8, 0.25f);
      EXPECT_EQ(std::vector<float>(y.end() - 4, y.end()), answer(0.25f));
      EXPECT_LE(kept(), 8);
    }
  }
  EXPECT_EQ(kept(), 8);
  EXPECT_EQ(CudaInjector::counts["cudaGraphInstantiate"], 20) << "ten sizes in turn find nothing in a list of eight";
  run(session, 3, 8, 0.25f);
  EXPECT_EQ(CudaInjector::counts["cudaGraphInstantiate"], 20) << "the last one is kept";
}

/// What does not fit into staging memory, and where there is none, goes the slower way to the same end.
TEST_F(CudaRun, DoesWithoutPinnedMemory) {
  Session session = this->session();
  {
    CudaInjector calls;
    calls.api().cudaMallocHost = [](void**, std::size_t) { return cudaErrorMemoryAllocation; };
    EXPECT_EQ(run(session, 1, 8, 0.25f), answer(0.25f));
    EXPECT_EQ(run(session, 1, 8, 0.5f), answer(0.5f));
    EXPECT_EQ(CudaInjector::counts["cudaGraphLaunch"], 1);
  }
  if (RESNET_SANITIZED) return;        // many pixels
  constexpr std::int64_t size = 1200;  // 17 MB
  EXPECT_EQ(run(session, 1, size, 0.25f), answer(0.25f));
  CudaInjector calls;
  EXPECT_EQ(run(session, 1, size, 0.5f), answer(0.5f));
  EXPECT_EQ(
      CudaInjector::counts,
      (Counts{{"cudaGetDevice", 1}, {"cudaMemcpyAsync", 1}, {"cudaGraphLaunch", 1}, {"cudaStreamSynchronize", 1}}));
}

/// Nothing recorded copies from staging memory that went away for larger memory that CUDA did not give.
TEST_F(CudaRun, ForgetsRecordingsOfStagingMemoryThatIsGone) {
  Session session = this->session();
  session.prepare(4, 8, 8);  // the arena serves both sizes below
  run(session, 1, 8, 0.25f);
  CudaInjector calls;
  calls.api().cudaMallocHost = [](void**, std::size_t) { return cudaErrorIllegalState; };
  failure([&] { session.prepare(64, 8, 8); }, ErrorCode::device_failed);
  calls.api().cudaMallocHost = built_in_cuda_api().cudaMallocHost;
  CudaInjector::counts.clear();
  EXPECT_EQ(run(session, 1, 8, 0.5f), answer(0.5f));
  EXPECT_EQ(CudaInjector::counts["cudaGraphInstantiate"], 1);
}

/// Pixels as bytes give what the same pixels normalised on the host give.
TEST_F(CudaRun, NormalisesBytes) {
  const std::string path = folder_ / "normalised.rne";
  Preprocess means;
  means.mean = {0.485, 0.456, 0.406}, means.std = {0.229, 0.224, 0.225};
  test::TinyModel with_means;
  with_means.preprocess_json = means.to_json();
  test::write_tiny_model(path, with_means);
  const Model model = Model::load(path);
  constexpr std::int64_t n = 2, size = 8;
  std::vector<std::uint8_t> nhwc(n * size * size * 3), nchw(nhwc.size());
  std::vector<float> normalised(nhwc.size());
  for (std::size_t i = 0; i < nhwc.size(); ++i) {
    nhwc[i] = static_cast<std::uint8_t>(i * 7919 % 251);
    const std::size_t image = i / (size * size * 3), c = i % 3, position = i / 3 % (size * size);
    nchw[(image * 3 + c) * size * size + position] = nhwc[i];
    normalised[i] = (static_cast<float>(nhwc[i] / 255.0) - std::array{0.485f, 0.456f, 0.406f}[c]) /
                    std::array{0.229f, 0.224f, 0.225f}[c];
  }
  for (const auto& [device, precision, bound] :
       {std::tuple{"reference", Precision::fp32, 0.0f}, std::tuple{"cpu", Precision::fp32, 0.0f},
        std::tuple{"cuda", Precision::fp32, 1e-5f}, std::tuple{"cuda", Precision::bf16, 0.04f}}) {
    SCOPED_TRACE(device);
    Session session(model, {.device = device, .precision = precision, .normalize_uint8 = true});
    std::vector<float> expected(n * 4);
    session.run(view(normalised, n, size), {expected.data(), n, 1, 1, 4});
    for (int round = 0; round < 2; ++round) {
      for (const auto& [bytes, layout] : {std::pair{&nhwc, Layout::nhwc}, std::pair{&nchw, Layout::nchw}}) {
        std::vector<float> y(n * 4);
        session.run({bytes->data(), n, size, size, 3, DType::u8, layout}, {y.data(), n, 1, 1, 4});
        for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], bound) << i;
      }
    }
  }
  test::write_tiny_model(path, {.preprocess = false});
  const Model silent = Model::load(path);
  EXPECT_NE(failure([&] { Session(silent, {.device = "cuda", .normalize_uint8 = true}); }, ErrorCode::unsupported)
                .find("holds no preprocessing"),
            std::string::npos);
}

/// A first session packs the weights; the others make their streams, arenas and graphs.
TEST_F(CudaRun, ServesTwentyThreadsWithASessionEach) {
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 20; ++t) {
    threads.emplace_back([&, t] {
      Session own(*model_, {.device = "cuda:0", .precision = t % 2 == 0 ? Precision::fp32 : Precision::bf16});
      const float value = static_cast<float>(t) / 32;
      run(own, 1 + t % 3, 8, value);
      for (int i = 0; i < 3; ++i) right += run(own, 1, 8, value) == answer(value) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 20 * 3);
}

TEST_F(CudaRun, UsesEachOfSeveralGpus) {
  sim::set_devices({{}, {}});
  const auto both = [&] {
    Session first = session({.device = "cuda:0"}), second = session({.device = "cuda:1"});
    EXPECT_EQ(second.device(), "cuda:1");
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(run(first, 1, 8, 0.25f), answer(0.25f));
      EXPECT_EQ(run(second, 1, 8, 0.5f), answer(0.5f));
    }
  };
  both();
  const std::size_t weights = sim::allocated_bytes();
  EXPECT_GT(weights, 0u);
  both();
  EXPECT_EQ(sim::allocated_bytes(), weights) << "each device has its weights once";
  int current = -1;
  ASSERT_EQ(cuda_api().cudaGetDevice(&current), cudaSuccess);
  EXPECT_EQ(current, 0) << "a run left its device behind";
}

TEST_F(CudaRun, SaysThatAForkedProcessCannotUseIt) {
  Session session = this->session();
  run(session, 1, 8, 0.25f);
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::string text;
    try {
      run(session, 1, 8, 0.5f);
      text = "it ran";
    } catch (const Error& error) {
      text = error.what();
    }
    try {
      Session other(*model_, {.device = "cuda:0"});
      text += "; a new session began";
    } catch (const Error& error) {
      text += std::string("; ") + error.what();
    }
    for (const DeviceReport& report : list_devices()) text += "; " + report.name + ' ' + report.reason;
    const ssize_t written = write(ends[1], text.data(), text.size());
    _exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  std::array<char, 256> piece{};
  for (ssize_t count = 0; (count = read(ends[0], piece.data(), piece.size())) > 0;)
    text.append(piece.data(), static_cast<std::size_t>(count));
  close(ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::size_t said = 0;
  for (std::size_t at = text.find("forked from"); at != std::string::npos; at = text.find("forked from", at + 1))
    ++said;
  EXPECT_EQ(said, 3u) << text;
  EXPECT_EQ(run(session, 1, 8, 0.5f), answer(0.5f)) << "the parent goes on";
}

TEST_F(CudaRun, NamesTheArchitectureThatTheBuildLacks) {
  CudaInjector calls;
  calls.api().architectures = "80-real,100-real";
  const std::string text = failure([&] { session(); }, ErrorCode::device_unavailable);
  EXPECT_NE(text.find("no kernels for sm_90, only for 80-real, 100-real"), std::string::npos) << text;
  EXPECT_NE(text.find("-DRESNET_CUDA_ARCHITECTURES=90-real"), std::string::npos) << text;
  EXPECT_FALSE(list_devices().front().available);
  calls.api().architectures = "80-real,90";
  EXPECT_NO_THROW(session());
}

TEST(CompiledFor, FollowsMachineCodeAndPtx) {
  using kernels::compiled_for;
  for (const int sm : {80, 86, 89}) EXPECT_TRUE(compiled_for("80-real", sm).ok) << sm;
  for (const int sm : {75, 90, 100}) EXPECT_FALSE(compiled_for("80-real", sm).ok) << sm;
  for (const int sm : {80, 89, 90, 100, 120}) EXPECT_TRUE(compiled_for("80-real,90", sm).ok) << sm;
  EXPECT_FALSE(compiled_for("75-real,86-real", 80).ok);
  for (const int sm : {90, 120}) EXPECT_TRUE(compiled_for("90-virtual", sm).ok) << sm;
  EXPECT_FALSE(compiled_for("90-virtual", 89).ok);
  EXPECT_TRUE(compiled_for("90a", 90).ok);
  EXPECT_FALSE(compiled_for("90a", 100).ok);
  EXPECT_TRUE(compiled_for("", 75).ok);
}

}  // namespace
}  // namespace resnet
