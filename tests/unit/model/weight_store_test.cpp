#include "model/weight_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>
#include <set>
#include <thread>

#include "base/aligned_buffer.hpp"
#include "golden/golden_model.hpp"
#include "unit/model/model_bytes.hpp"

namespace resnet::testing {
namespace {

/// Host memory that can play a device: not visible to the host, limited, counted.
class TestDevice : public DeviceAllocator {
 public:
  explicit TestDevice(std::string name, bool visible = true) : name_(std::move(name)), visible_(visible) {}
  std::string key() const override { return name_; }
  bool host_visible() const noexcept override { return visible_; }
  std::unique_ptr<DeviceBuffer> allocate(std::size_t bytes) override { return std::make_unique<Buffer>(bytes, live); }
  void upload(std::byte* destination, const std::byte* source, std::size_t bytes) override {
    ++uploads;
    std::memcpy(destination, source, bytes);
  }

  std::atomic<std::size_t> live{0};
  std::atomic<int> uploads{0};

 private:
  class Buffer : public DeviceBuffer {
   public:
    Buffer(std::size_t bytes, std::atomic<std::size_t>& live) : memory_(bytes), live_(live) { live_ += bytes; }
    ~Buffer() override { live_ -= memory_.size(); }
    std::byte* data() noexcept override { return memory_.data(); }
    std::size_t size() const noexcept override { return memory_.size(); }

   private:
    AlignedBuffer memory_;
    std::atomic<std::size_t>& live_;
  };
  std::string name_;
  bool visible_;
};

std::shared_ptr<const ModelFile> golden_file(const GoldenModel& model = GoldenModel(DType::f32)) {
  return ModelFile::from_memory(model.file(), "golden.rne");
}

WeightRequest plain(const std::string& tensor, std::size_t values) {
  return {{tensor}, "f32", values * sizeof(float), {}};
}

/// Packs twice the sum of all values of its tensors.
WeightRequest sum_of(
    std::vector<std::string> tensors, std::function<void()> on_pack = [] {}) {
  return {std::move(tensors), "sum", sizeof(float), [on_pack](std::span<const TensorValues> values, std::byte* out) {
            on_pack();
            float sum = 0;
            for (const TensorValues& tensor : values)
              sum = std::accumulate(tensor.values.begin(), tensor.values.end(), sum);
            sum *= 2;
            std::memcpy(out, &sum, sizeof sum);
          }};
}

float first_value(const std::byte* buffer) {
  float value;
  std::memcpy(&value, buffer, sizeof value);
  return value;
}

const GoldenModel::Tensor& tensor_of(const GoldenModel& model, const std::string& name) {
  return *std::ranges::find(model.tensors(), name, &GoldenModel::Tensor::name);
}

TEST(WeightStore, GivesTheValuesOfATensorInFileOrder) {
  const GoldenModel golden(DType::bf16);
  WeightStore store(golden_file(golden));
  TestDevice device("cpu");
  const std::vector<WeightRequest> requests = {plain("fc.weight", 6), plain("conv1.weight", 81)};
  const auto buffers = store.get(requests, device, 2);
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(std::memcmp(buffers[0], tensor_of(golden, "fc.weight").values.data(), 24), 0);
  EXPECT_EQ(std::memcmp(buffers[1], tensor_of(golden, "conv1.weight").values.data(), 324), 0);
}

TEST(WeightStore, HandsThePackFunctionAllItsTensorsInOrder) {
  WeightStore store(golden_file());
  TestDevice device("cpu");
  WeightRequest request{{"fc.bias", "fc.weight"}, "check", 64, {}};
  request.pack = [](std::span<const TensorValues> values, std::byte* out) {
    ASSERT_EQ(values.size(), 2u);
    EXPECT_EQ(values[0].info->name, "fc.bias");
    EXPECT_EQ(values[1].info->name, "fc.weight");
    EXPECT_EQ(values[0].values.size(), 2u);
    EXPECT_EQ(values[1].values.size(), 6u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(values[1].values.data()) % 64, 0u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(out) % 64, 0u);
    std::memset(out, 1, 64);
  };
  store.get({&request, 1}, device, 1);
}

TEST(WeightStore, PacksOncePerDeviceTensorsAndFormat) {
  WeightStore store(golden_file());
  TestDevice cpu("cpu"), gpu("cuda:0", false);
  std::vector<WeightRequest> requests = {sum_of({"fc.weight"}), sum_of({"fc.weight"}),
                                         sum_of({"fc.weight", "fc.bias"})};
  const auto first = store.get(requests, cpu, 2);
  EXPECT_EQ(first[0], first[1]);
  EXPECT_NE(first[0], first[2]);
  EXPECT_EQ(store.get(requests, cpu, 1), first);
  EXPECT_EQ(store.stats().packs, 2u);
  const auto on_gpu = store.get(requests, gpu, 1);
  EXPECT_NE(on_gpu[0], first[0]);
  EXPECT_EQ(gpu.uploads, 2);
  EXPECT_EQ(first_value(on_gpu[2]), first_value(first[2]));
  requests[0].format = "other";
  EXPECT_NE(store.get(requests, cpu, 1)[0], first[0]);
  const WeightStore::Stats stats = store.stats();
  EXPECT_EQ(stats.packs, 5u);
  EXPECT_EQ(stats.buffers, 5u);
  EXPECT_EQ(stats.bytes, 5 * sizeof(float));
}

TEST(WeightStore, StartsWithTheLargestBuffer) {
  WeightStore store(golden_file());
  TestDevice device("cpu");
  std::vector<std::size_t> order;
  std::vector<WeightRequest> requests;
  for (const std::size_t bytes : {100u, 300u, 200u}) {
    requests.push_back({{"fc.bias"}, std::to_string(bytes), bytes, [&order, bytes](auto, std::byte* out) {
                          order.push_back(bytes);
                          std::memset(out, 0, bytes);
                        }});
  }
  store.get(requests, device, 1);
  EXPECT_EQ(order, std::vector<std::size_t>({300, 200, 100}));
}

TEST(WeightStore, IsAsBeforeAfterAFailureAndThenStillWorks) {
  GoldenModel golden(DType::f32);
  golden.set_bits("conv1.weight", 7, 0x7FC00000);
  WeightStore store(golden_file(golden));
  TestDevice device("cpu");
  const auto kept = store.get(std::vector{sum_of({"fc.bias"})}, device, 1);
  const std::vector<WeightRequest> requests = {sum_of({"fc.bias"}), sum_of({"fc.weight"}), sum_of({"conv1.weight"})};
  for (const int threads : {1, 3}) {
    const Error error = error_of([&] { store.get(requests, device, threads); });
    EXPECT_EQ(error.code(), ErrorCode::nonfinite_weight) << error.what();
    EXPECT_NE(std::string(error.what()).find("golden.rne: tensor 'conv1.weight': value 7 of 81"), std::string::npos)
        << error.what();
    EXPECT_EQ(store.stats().buffers, 1u);
    EXPECT_EQ(device.live, sizeof(float)) << "memory of the failed call is still held";
  }
  EXPECT_EQ(store.get(std::vector{sum_of({"fc.bias"})}, device, 1), kept);
  EXPECT_EQ(store.get(std::vector{sum_of({"fc.weight"})}, device, 1).size(), 1u);
}

TEST(WeightStore, ReportsAMissingTensorAndAWrongChecksum) {
  Bytes bytes = GoldenModel(DType::f32).file();
  bytes.back() ^= std::byte{1};
  WeightStore store(ModelFile::from_memory(bytes, "a.rne"));
  TestDevice device("cpu");
  EXPECT_EQ(error_of([&] { store.get(std::vector{sum_of({"no"})}, device, 1); }).code(), ErrorCode::missing_tensor);
  EXPECT_EQ(error_of([&] { store.get(std::vector{sum_of({"fc.bias"})}, device, 1); }).code(), ErrorCode::checksum);
}

TEST(WeightStore, FoldsABatchNormFromTheFileAndNamesItsBadChannel) {
  GoldenModel golden(DType::f32);
  golden.set_bits("bn1.running_var", 2, 0xBF800000);  // -1
  WeightStore store(golden_file(golden));
  TestDevice device("cpu");
  const Node& node = store.file().header().graph.node(2);
  ASSERT_EQ(node.name, "bn1");
  const std::vector<AffineStage> stages = {{AffineStage::Kind::batch_norm, "bn1", "", "bn1.weight", "bn1.bias",
                                            "bn1.running_mean", "bn1.running_var", 1e-5}};
  WeightRequest request{affine_tensors(stages), affine_key(stages), 12, {}};
  request.pack = [&](std::span<const TensorValues> values, std::byte* out) {
    const ScaleShift folded = evaluate_affine(stages, 3, [&](const std::string& name) {
      return std::ranges::find(values, name, [](const TensorValues& v) { return v.info->name; })->values;
    });
    std::memcpy(out, folded.scale.data(), 12);
  };
  const Error error = error_of([&] { store.get({&request, 1}, device, 1); });
  EXPECT_EQ(error.code(), ErrorCode::bad_batch_norm);
  EXPECT_NE(std::string(error.what()).find("layer 'bn1', tensor 'bn1.running_var', channel 2"), std::string::npos)
      << error.what();
}

TEST(WeightStore, AskedFromEightThreadsAtOncePacksEachBufferOnce) {
  for (int round = 0; round < 20; ++round) {
    const GoldenModel golden(DType::f32);
    WeightStore store(golden_file(golden));
    TestDevice device("cpu");
    std::vector<WeightRequest> requests;
    for (const auto& tensor : golden.tensors()) requests.push_back(sum_of({tensor.name}));
    std::vector<std::vector<const std::byte*>> results(8);
    std::atomic<int> waiting{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        std::vector<WeightRequest> mine = requests;
        std::rotate(mine.begin(), mine.begin() + static_cast<std::ptrdiff_t>(t % mine.size()), mine.end());
        for (++waiting; waiting < 8;) std::this_thread::yield();
        auto buffers = store.get(mine, device, 2);
        std::rotate(buffers.begin(), buffers.end() - static_cast<std::ptrdiff_t>(t % mine.size()), buffers.end());
        results[t] = buffers;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(store.stats().packs, requests.size());
    for (const auto& result : results) EXPECT_EQ(result, results[0]);
  }
}

TEST(WeightStore, ACallThatWaitedForAFailingOnePacksItself) {
  WeightStore store(golden_file());
  TestDevice device("cpu");
  std::atomic<bool> packing{false}, go_on{false};
  const WeightRequest failing = sum_of({"fc.bias"}, [&] {
    packing = true;
    while (!go_on) std::this_thread::yield();
    throw Error(ErrorCode::out_of_memory, "on purpose");
  });
  std::thread first([&] {
    EXPECT_EQ(error_of([&] { store.get({&failing, 1}, device, 1); }).code(), ErrorCode::out_of_memory);
  });
  while (!packing) std::this_thread::yield();
  std::thread second([&] {
    const auto buffers = store.get(std::vector{sum_of({"fc.bias"}), sum_of({"fc.weight"})}, device, 1);
    EXPECT_EQ(buffers.size(), 2u);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  go_on = true;
  first.join();
  second.join();
  EXPECT_EQ(store.stats().buffers, 2u);
}

TEST(WeightStore, PackedValuesDoNotDependOnTheNumberOfThreads) {
  const GoldenModel golden(DType::f16);
  std::set<std::string> results;
  for (const int threads : {0, 1, 2, 7, 100}) {
    WeightStore store(golden_file(golden));
    TestDevice device("cpu");
    std::vector<WeightRequest> requests;
    for (const auto& tensor : golden.tensors()) requests.push_back(plain(tensor.name, tensor.values.size()));
    std::string all;
    const auto buffers = store.get(requests, device, threads);
    for (std::size_t i = 0; i < buffers.size(); ++i)
      all.append(reinterpret_cast<const char*>(buffers[i]), requests[i].bytes);
    results.insert(all);
  }
  EXPECT_EQ(results.size(), 1u);
}

}  // namespace
}  // namespace resnet::testing
