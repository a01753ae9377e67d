// What a session on a GPU does when CUDA fails, at every call in turn.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "kernels/sim/emulator.hpp"
#include "resnet_engine/device.hpp"
#include "resnet_engine/session.hpp"
#include "support/cuda_injector.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet {
namespace {

class CudaFaults : public testing::Test {
 protected:
  CudaFaults() {
    sim::reset();
    sim::set_devices({{}});
    const std::string path = folder_ / "tiny.rne";
    test::write_tiny_model(path);
    path_ = path;
  }
  ~CudaFaults() override {
    sim::reset();
    sim::set_devices({{}});
    sim::take_reports();
  }

  /// Two sizes through one session: plans, arena growth, replay.
  static std::vector<float> work(Session& session) {
    std::vector<float> all;
    for (const std::int64_t size : {8, 12, 8}) {
      const std::vector<float> x(static_cast<std::size_t>(size * size * 3), 0.25f);
      std::vector<float> y(4);
      session.run({x.data(), 1, size, size, 3}, {y.data(), 1, 1, 1, 4});
      all.insert(all.end(), y.begin(), y.end());
    }
    return all;
  }
  static std::vector<float> open_and_work(const Model& model) {
    Session session(model, {.device = "cuda:0"});
    return work(session);
  }
  static std::string failure(const std::function<void()>& call, std::set<ErrorCode> codes) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_TRUE(codes.contains(error.code())) << error.what();
      EXPECT_FALSE(error.next().empty()) << error.what();
      return error.what();
    }
    return {};
  }

  test::ScratchFolder folder_;
  std::string path_;
};

TEST_F(CudaFaults, EveryCallInTurn) {
  std::vector<float> expected;
  {
    const Model model = Model::load(path_);
    expected = open_and_work(model);
  }
  for (const bool sticky : {false, true}) {
    int failures = 0;
    for (int at = 0;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at) + (sticky ? " and all later ones" : ""));
      {
        test::CudaInjector injector;
        const Model model = Model::load(path_);
        injector.at = at, injector.error = cudaErrorIllegalAddress, injector.sticky = sticky;
        const std::string text =
            failure([&] { EXPECT_EQ(open_and_work(model), expected); },
                    {ErrorCode::device_failed, ErrorCode::device_unavailable, ErrorCode::out_of_memory});
        if (!text.empty()) {
          ++failures;
          EXPECT_NE(text.find("cuda:0"), std::string::npos) << text;
        }
        const bool reached = test::CudaInjector::fired;
        injector.at = -1;
        // A context that CUDA did not give up serves the next session.
        EXPECT_EQ(open_and_work(model), expected);
        if (!reached) break;
      }
      ASSERT_EQ(sim::allocated_bytes(), 0u) << "device memory that nobody freed";
    }
    EXPECT_GT(failures, 20);
  }
}

TEST_F(CudaFaults, NamesTheLayerWhoseKernelDoesNotStart) {
  test::CudaInjector injector;
  injector.api().launch_kernel = [](const cudaLaunchConfig_t&, const KernelHandle& kernel, void**) {
    return std::string(kernel.name).starts_with("conv") ? cudaErrorInvalidConfiguration : cudaSuccess;
  };
  const std::string text = failure([&] { open_and_work(Model::load(path_)); }, {ErrorCode::device_failed});
  for (const char* part : {"layer 'relu'", "conv", "cuda:0", "cudaErrorInvalidConfiguration"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
}

TEST_F(CudaFaults, OutOfMemoryAtEveryAllocationHarmsNoOtherSession) {
  const Model model = Model::load(path_), other_model = Model::load(path_);
  Session other(other_model, {.device = "cuda:0"});
  const std::vector<float> expected = work(other);
  int failures = 0;
  for (int at = 0;; ++at) {
    SCOPED_TRACE("allocation " + std::to_string(at));
    test::CudaInjector injector;
    injector.only_allocations = true, injector.at = at, injector.error = cudaErrorMemoryAllocation;
    const std::string text =
        failure([&] { EXPECT_EQ(open_and_work(Model::load(path_)), expected); }, {ErrorCode::out_of_memory});
    EXPECT_EQ(text.empty(), !test::CudaInjector::fired);
    if (!text.empty()) {
      ++failures;
      EXPECT_NE(text.find("MiB of device memory"), std::string::npos) << text;
    }
    EXPECT_EQ(work(other), expected);
    if (!test::CudaInjector::fired) break;
  }
  EXPECT_GE(failures, 4);
}

/// A session whose arena cannot grow works again at the size that it had.
TEST_F(CudaFaults, ASessionOutlivesAnArenaThatCannotGrow) {
  const Model model = Model::load(path_);
  Session session(model, {.device = "cuda:0"});
  const auto run = [&](std::int64_t n) {
    const std::vector<float> x(static_cast<std::size_t>(n * 8 * 8 * 3), 0.25f);
    std::vector<float> y(static_cast<std::size_t>(n * 4));
    session.run({x.data(), n, 8, 8, 3}, {y.data(), n, 1, 1, 4});
    return y;
  };
  const auto expected = run(1);
  {
    test::CudaInjector injector;
    injector.only_allocations = true, injector.at = 0, injector.error = cudaErrorMemoryAllocation;
    EXPECT_NE(failure([&] { run(64); }, {ErrorCode::out_of_memory}), "");
  }
  EXPECT_EQ(run(1), expected);
  EXPECT_EQ(run(64).size(), 256u);
}

TEST_F(CudaFaults, SaysWhyThereIsNoDevice) {
  const Model model = Model::load(path_);
  const auto why = [&](const char* device) {
    return failure([&] { Session session(model, {.device = device}); }, {ErrorCode::device_unavailable});
  };
  EXPECT_NE(why("cuda:1").find("there is no device 1: this process sees 1 GPU"), std::string::npos) << why("cuda:1");
  {
    test::CudaInjector injector;
    injector.at = 0, injector.sticky = true, injector.error = cudaErrorNoDevice;
    EXPECT_NE(why("cuda").find("CUDA_VISIBLE_DEVICES"), std::string::npos) << why("cuda");
  }
  {
    test::CudaInjector injector;
    injector.at = 0, injector.sticky = true, injector.error = cudaErrorInsufficientDriver;
    injector.api().cudaDriverGetVersion = [](int* version) {
      *version = 0;
      return cudaSuccess;
    };
    EXPECT_NE(why("cuda").find("no NVIDIA driver is installed"), std::string::npos) << why("cuda");
    injector.api().cudaDriverGetVersion = [](int* version) {
      *version = 11080;
      return cudaSuccess;
    };
    EXPECT_NE(why("cuda").find("supports CUDA 11.8, this build needs"), std::string::npos) << why("cuda");
    // "auto" falls back, and says the same.
    Session session(model, {.device = "auto"});
    EXPECT_NE(session.device_reason().find("supports CUDA 11.8"), std::string::npos) << session.device_reason();
  }
  EXPECT_EQ(list_devices().front().name, "cuda:0");
  EXPECT_NE(list_devices().front().detail.find("sm_90, 132 multiprocessors, 16.0 GiB, driver for CUDA"),
            std::string::npos)
      << list_devices().front().detail;
  {
    test::CudaInjector injector;
    injector.at = 0, injector.sticky = true, injector.error = cudaErrorNoDevice;
    EXPECT_EQ(list_devices().front().name, "cuda");
    EXPECT_FALSE(list_devices().front().available);
    EXPECT_NE(list_devices().front().reason.find("CUDA_VISIBLE_DEVICES"), std::string::npos);
  }
  sim::PretendDevice old;
  old.sm = 70, old.name = "Old GPU";
  sim::set_devices({old});
  EXPECT_NE(why("cuda").find("Old GPU is sm_70; the kernels need sm_75"), std::string::npos) << why("cuda");
  EXPECT_EQ(list_devices().front().model, "Old GPU");
  EXPECT_FALSE(list_devices().front().available);
}

}  // namespace
}  // namespace resnet
