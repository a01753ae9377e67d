// The CUDA backend inside sessions, on the emulator.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <thread>

#include "base/json.hpp"
#include "kernels/cuda_api.hpp"
#include "kernels/sim/emulator.hpp"
#include "resnet_engine/session.hpp"
#include "support/cuda_injector.hpp"
#include "support/random_model.hpp"
#include "support/relative_l2.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"

namespace resnet {
namespace {

using test::random_values, test::relative_l2;

class CudaSession : public testing::Test {
 protected:
  void SetUp() override {
    sim::reset();
    sim::set_devices({{}});
  }
  void TearDown() override {
    for (const sim::Report& report : sim::take_reports()) ADD_FAILURE() << to_string(report);
    EXPECT_EQ(sim::allocated_bytes(), 0u) << "device memory that nobody freed";
  }

  Model model(std::string_view name, const test::NetworkSpec& network) {
    const std::string path = (folder_ / (std::string(name) + ".rne"));
    test::write_bytes(path, test::random_model(network, 1));
    return Model::load(path);
  }
  Model model(std::string_view name, std::int64_t size) {
    return model(name, test::torchvision_resnet(name, size, 10));
  }
  static SessionOptions on(const char* device, Precision precision = Precision::fp32) {
    SessionOptions options;
    options.device = device, options.precision = precision;
    return options;
  }
  static std::vector<float> run(Session& session, const std::vector<float>& x, std::int64_t n, std::int64_t h,
                                std::int64_t w) {
    std::vector<float> y(static_cast<std::size_t>(n) * 10, std::nanf(""));
    session.run({x.data(), n, h, w, 3}, {y.data(), n, 1, 1, 10});
    return y;
  }
  static std::vector<float> pictures(std::int64_t n, std::int64_t h, std::int64_t w) {
    return random_values(static_cast<std::size_t>(n * h * w * 3), 7);
  }

  test::ScratchFolder folder_;
};

TEST_F(CudaSession, AgreesWithTheReferenceInEveryPrecision) {
  if (RESNET_SANITIZED) GTEST_SKIP() << "minutes of arithmetic";
  const Model net = model("resnet18", 48);
  Session reference(net, on("reference"));
  const auto x = pictures(1, 48, 48);
  const auto exact = run(reference, x, 1, 48, 48);
  for (const auto& [precision, bound] : {std::pair{Precision::fp32, 1e-5}, std::pair{Precision::tf32, 5e-3},
                                         std::pair{Precision::fp16, 5e-3}, std::pair{Precision::bf16, 4e-2}}) {
    Session cuda(net, on("cuda", precision));
    EXPECT_EQ(cuda.device(), "cuda:0");
    EXPECT_LT(relative_l2(run(cuda, x, 1, 48, 48), exact), bound) << static_cast<int>(precision);
  }
}

/// One network as it is, the others at a size that takes seconds.
TEST_F(CudaSession, RunsTheFamily) {
  if (RESNET_SANITIZED) GTEST_SKIP() << "minutes of arithmetic";
  using test::Relative, test::resnet_relative, test::torchvision_resnet;
  struct Network {
    const char* name;
    test::NetworkSpec layers;
    std::int64_t size;
  };
  const Network networks[] = {
      {"resnet50", torchvision_resnet("resnet50", 32, 10), 32},
      {"resnext50_32x4d", torchvision_resnet("resnext50_32x4d", 32, 10), 32},
      {"seresnet18", resnet_relative(Relative::squeeze_excite, "resnet18", 32, 10), 32},
      {"seresnet50", resnet_relative(Relative::squeeze_excite, "resnet50", 32, 10), 32},
      {"resnetv2_18", resnet_relative(Relative::pre_activation, "resnet18", 32, 10), 32},
      {"resnetv2_50", resnet_relative(Relative::pre_activation, "resnet50", 32, 10), 32},
      {"resnet18", torchvision_resnet("resnet18", 224, 10), 224},
  };
  for (const Network& network : networks) {
    SCOPED_TRACE(network.name);
    const Model net = model(network.name, network.layers);
    const std::int64_t size = network.size;
    const auto x = pictures(1, size, size);
    Session reference(net, on("reference")), fp32(net, on("cuda")), bf16(net, on("cuda", Precision::bf16));
    const auto exact = run(reference, x, 1, size, size);
    EXPECT_LT(relative_l2(run(fp32, x, 1, size, size), exact), 1e-5);
    EXPECT_LT(relative_l2(run(bf16, x, 1, size, size), exact), 4e-2);
  }
}

/// Replays differ from the first launches in nothing, also after the arena has moved.
TEST_F(CudaSession, GivesTheSameBitsForTheSameInputAtEverySize) {
  const Model net = model("resnet18", 32);
  Session session(net, on("cuda", Precision::bf16)), other(net, on("cuda", Precision::bf16));
  std::vector<std::vector<float>> first;
  const std::array<std::array<std::int64_t, 3>, 3> sizes{{{1, 32, 32}, {2, 33, 47}, {3, 32, 32}}};
  for (const auto& [n, h, w] : sizes) first.push_back(run(session, pictures(n, h, w), n, h, w));
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const auto& [n, h, w] = sizes[i];
      EXPECT_EQ(run(session, pictures(n, h, w), n, h, w), first[i]) << n << ' ' << h << ' ' << w;
    }
  }
  EXPECT_EQ(run(other, pictures(2, 33, 47), 2, 33, 47), first[1]);
}

TEST_F(CudaSession, GivesAnImageTheSameBitsInEveryBatchWhenDeterministic) {
  if (RESNET_SANITIZED) GTEST_SKIP() << "minutes of arithmetic";
  const Model digits = Model::load(RESNET_SOURCE_DIR "/models/digits.rne"), net = model("resnet18", 32);
  // In fp32 the emulator needs minutes for the larger one.
  for (const auto& [network, precision] : {std::pair{digits, Precision::fp32}, std::pair{net, Precision::bf16}}) {
    SessionOptions options = on("cuda", precision);
    options.deterministic = true;
    Session session(network, options);
    const std::int64_t channels = network.input_size().channels;
    const auto image = static_cast<std::size_t>(24 * 24 * channels);
    const auto run = [&](const std::vector<float>& x, std::int64_t n) {
      std::vector<float> y(static_cast<std::size_t>(n) * 10, std::nanf(""));
      session.run({x.data(), n, 24, 24, channels}, {y.data(), n, 1, 1, 10});
      return y;
    };
    const auto x = random_values(image, 7);
    const auto alone = run(x, 1);
    for (const std::int64_t n : {2, 7, 8, 33}) {
      auto batch = random_values(static_cast<std::size_t>(n) * image, 11);
      for (const std::int64_t place : {std::int64_t{0}, n / 2, n - 1})
        std::copy(x.begin(), x.end(), batch.begin() + place * static_cast<std::int64_t>(image));
      const auto y = run(batch, n);
      for (const std::int64_t place : {std::int64_t{0}, n / 2, n - 1}) {
        const auto first = y.begin() + place * 10;
        EXPECT_EQ(std::vector<float>(first, first + 10), alone) << "image " << place << " of " << n;
      }
    }
  }
}

TEST_F(CudaSession, TakesChannelsFirstAndBytes) {
  const Model net = model("resnet18", 32);
  Session session(net, on("cuda", Precision::bf16));
  std::vector<std::uint8_t> pixels(32 * 32 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7919 % 251);
  std::vector<float> nhwc(pixels.begin(), pixels.end()), nchw(pixels.size());
  for (std::size_t p = 0; p < 32 * 32; ++p) {
    for (std::size_t c = 0; c < 3; ++c) nchw[c * 32 * 32 + p] = nhwc[p * 3 + c];
  }
  const auto expected = run(session, nhwc, 1, 32, 32);
  std::vector<float> y(10);
  session.run({nchw.data(), 1, 32, 32, 3, DType::f32, Layout::nchw}, {y.data(), 1, 1, 1, 10});
  EXPECT_EQ(y, expected);
  session.run({pixels.data(), 1, 32, 32, 3, DType::u8}, {y.data(), 1, 1, 1, 10});
  EXPECT_EQ(y, expected);
}

TEST_F(CudaSession, TakesTensorsThatLieOnTheDevice) {
  const Model net = model("resnet18", 32);
  Session session(net, on("cuda", Precision::bf16));
  const auto x = pictures(1, 32, 32);
  const auto expected = run(session, x, 1, 32, 32);
  void *in = nullptr, *out = nullptr;
  std::vector<float> nchw(x.size()), y(10);
  for (std::size_t i = 0; i < x.size(); ++i) nchw[i % 3 * 32 * 32 + i / 3] = x[i];
  ASSERT_EQ(cuda_api().cudaMalloc(&in, x.size() * sizeof(float)), cudaSuccess);
  ASSERT_EQ(cuda_api().cudaMalloc(&out, y.size() * sizeof(float)), cudaSuccess);
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    const auto& values = layout == Layout::nhwc ? x : nchw;
    cuda_api().cudaMemcpy(in, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice);
    session.run({in, 1, 32, 32, 3, DType::f32, layout, MemoryKind::device},
                {out, 1, 1, 1, 10, DType::f32, Layout::nhwc, MemoryKind::device});
    cuda_api().cudaMemcpy(y.data(), out, y.size() * sizeof(float), cudaMemcpyDeviceToHost);
    EXPECT_EQ(y, expected);
  }
  cuda_api().cudaFree(in);
  cuda_api().cudaFree(out);
}

TEST_F(CudaSession, SharesWeightsBetweenSessionsAndThreads) {
  const Model net = model("resnet18", 32);
  const auto x = pictures(1, 32, 32);
  std::vector<float> expected;
  {
    Session first(net, on("cuda", Precision::bf16));
    expected = run(first, x, 1, 32, 32);
  }
  const std::size_t weights = sim::allocated_bytes();
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> results(3);
  for (auto& result : results) {
    threads.emplace_back([&] {
      Session session(net, on("cuda", Precision::bf16));
      for (int i = 0; i < 2; ++i) result = run(session, x, 1, 32, 32);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
  EXPECT_EQ(sim::allocated_bytes(), weights) << "a session packed what another one had";
}

TEST_F(CudaSession, RetainsStepsAsFloats) {
  const Model net = model("resnet18", 32);
  SessionOptions options = on("cuda", Precision::bf16), exact = on("reference");
  options.retain = exact.retain = Retain::steps;
  Session cuda(net, options), reference(net, exact);
  const auto x = pictures(1, 32, 32);
  run(cuda, x, 1, 32, 32);
  run(reference, x, 1, 32, 32);
  const ConstTensorView a = cuda.retained("layer2.1.relu_1"), b = reference.retained("layer2.1.relu_1");
  ASSERT_EQ(a.elements(), b.elements());
  const auto values = [](const ConstTensorView& view) {
    const auto* data = static_cast<const float*>(view.data);
    return std::vector<float>(data, data + view.elements());
  };
  EXPECT_LT(relative_l2(values(a), values(b)), 4e-2);
}

/// Global average pooling and the dense layer as one step and as two, where somebody else reads the means, too.
TEST_F(CudaSession, PoolsInTheDenseLayersKernel) {
  const Model digits = Model::load(RESNET_SOURCE_DIR "/models/digits.rne");
  const auto x = random_values(std::size_t{2 * 32 * 32}, 7);
  const auto logits = [&](Session& session) {
    std::vector<float> y(2 * 10, std::nanf(""));
    session.run({x.data(), 2, 32, 32, 1}, {y.data(), 2, 1, 1, 10});
    return y;
  };
  Session reference(digits, on("reference"));
  const auto exact = logits(reference);
  SessionOptions together = on("cuda"), apart = together, seen = together;
  together.force_implementations = {"pool_dense"}, apart.forbid_implementations = {"pool_dense"};
  seen.retain = Retain::names, seen.retain_names = {"avgpool"};
  for (const SessionOptions& options : {together, apart, seen}) {
    Session session(digits, options);
    EXPECT_LT(relative_l2(logits(session), exact), 1e-5);
    bool one_step = false;
    const Json description = parse_json(session.describe_json(), "describe_json()");
    for (const Json& step : description.at("steps").as_array())
      one_step |= step.at("implementation").as_string() == "pool_dense";
    EXPECT_EQ(one_step, !options.force_implementations.empty());
  }
}

TEST_F(CudaSession, ProfilesWithEvents) {
  const Model net = model("resnet18", 32);
  Session session(net, on("cuda", Precision::bf16));
  EXPECT_NE(session.profile(2).find("conv_mma"), std::string::npos);
  EXPECT_NE(session.describe_json().find("conv_mma"), std::string::npos);
}

/// What a session costs the host behind the first one of a device: planning, memory, a graph. Kernels launch nothing
/// here, or the emulator's time would count.
TEST_F(CudaSession, OpensASecondSessionInMilliseconds) {
  if (RESNET_SANITIZED) GTEST_SKIP() << "measures time";
  const Model net = model("resnet50", 224);
  test::CudaInjector calls;
  calls.api().launch_kernel = [](const cudaLaunchConfig_t&, const KernelHandle&, void**) { return cudaSuccess; };
  const auto open = [&] {
    const auto began = std::chrono::steady_clock::now();
    Session session(net, on("cuda", Precision::bf16));
    session.prepare(1, 224, 224);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  };
  const double first = open();
  double second = open();
  for (int i = 0; i < 9; ++i) second = std::min(second, open());
  RecordProperty("milliseconds", std::to_string(first) + " then " + std::to_string(second));
  EXPECT_LE(second, 20);
}

}  // namespace
}  // namespace resnet
