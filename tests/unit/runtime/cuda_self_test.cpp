// Kernels that answer for themselves, on the emulator; wrong ones are made wrong in the table of CUDA calls.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "base/json.hpp"
#include "base/log.hpp"
#include "kernels/cuda_api.hpp"
#include "kernels/sim/emulator.hpp"
#include "resnet_engine/device.hpp"
#include "resnet_engine/session.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_model.hpp"

namespace resnet {
namespace {

/// The emulator's table, but launches of one kernel (by a part of its name) are left out.
class Broken {
 public:
  explicit Broken(std::string kernel) {
    skipped_ = std::move(kernel);
    api_ = built_in_cuda_api();
    api_.launch_kernel = [](const cudaLaunchConfig_t& config, const KernelHandle& handle, void** arguments) {
      names.insert(handle.name);
      if (!skipped_.empty() && std::string(handle.name).find(skipped_) != std::string::npos) return cudaSuccess;
      return built_in_cuda_api().launch_kernel(config, handle, arguments);
    };
    names.clear();
    replace_cuda_api(&api_);
  }
  ~Broken() { replace_cuda_api(nullptr); }
  Broken(const Broken&) = delete;
  Broken& operator=(const Broken&) = delete;

  static inline std::set<std::string> names;  ///< of the kernels that were launched

 private:
  static inline std::string skipped_;
  CudaApi api_;
};

class CudaSelfTest : public testing::Test {
 protected:
  CudaSelfTest() {
    setenv("RESNET_ENGINE_CACHE", folder_.path().c_str(), 1);
    sim::reset();
    sim::set_devices({{}});
    set_log_sink([this](LogLevel level, std::string_view text) {
      if (level == LogLevel::warning) warnings_.emplace_back(text);
    });
    test::write_tiny_model(folder_ / "tiny.rne");
  }
  ~CudaSelfTest() override {
    set_log_sink(nullptr);
    sim::take_reports();  // a kernel that was left out leaves memory unwritten
  }

  std::vector<float> run(Session& session) {
    const std::vector<float> x(8 * 8 * 3, 0.25f);
    std::vector<float> y(4);
    session.run({x.data(), 1, 8, 8, 3}, {y.data(), 1, 1, 1, 4});
    return y;
  }
  Session open(SelfTest mode) { return Session(model_(), {.device = "cuda", .self_test = mode}); }
  Model model_() const { return Model::load(folder_ / "tiny.rne"); }
  static Json self_tests(Session& session) {
    return parse_json(session.describe_json(), "description").at("self_tests");
  }

  test::ScratchFolder folder_;
  std::vector<std::string> warnings_;
};

const std::vector<float> right{2, 2, 2, 2};

TEST_F(CudaSelfTest, PassesForEveryKernelThatANetworkReaches) {
  std::set<std::string> reached;
  for (const SelfTestReport& report : run_self_tests("cuda")) {
    EXPECT_TRUE(report.passed) << report.implementation << ": " << report.failure;
    if (report.cases > 0) reached.insert(report.implementation);
  }
  EXPECT_EQ(reached, (std::set<std::string>{"adaptive_pool", "conv_depthwise", "conv_direct", "conv_grouped",
                                            "conv_grouped_mma", "conv_mma", "conv_stem", "convert", "dense_direct",
                                            "dense_mma", "pad", "pointwise", "pool", "pool_dense", "softmax"}));
  for (const sim::Report& report : sim::take_reports()) ADD_FAILURE() << to_string(report);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(CudaSelfTest, RunsOnceAndIsKept) {
  {
    Broken counted("");
    Session session = open(SelfTest::always);
    EXPECT_EQ(run(session), right);
    EXPECT_EQ(self_tests(session).at("conv_direct").as_string(), "passed");
    EXPECT_EQ(Broken::names, (std::set<std::string>{"conv_direct", "convert", "pool_dense"}));
  }
  EXPECT_NE(test::read_text(folder_ / "results.json").find("self-test conv_direct, binary"), std::string::npos);
  // Broken since then: nobody looks again, which shows that the result was kept.
  Broken pool("conv_direct");
  Session again = open(SelfTest::always);
  EXPECT_NE(run(again), right);
  EXPECT_EQ(self_tests(again).at("conv_direct").as_string(), "passed");
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(CudaSelfTest, LeavesOutAKernelThatFails) {
  const Model digits = Model::load(RESNET_SOURCE_DIR "/models/digits.rne");
  SessionOptions options{.device = "cuda",
                         .precision = Precision::fp16,
                         .force_implementations = {"dense_direct"},
                         .self_test = SelfTest::never};
  const std::vector<float> x(8 * 8, 0.5f);
  const auto logits = [&](Session& session) {
    std::vector<float> y(10);
    session.run({x.data(), 1, 8, 8, 1}, {y.data(), 1, 1, 1, 10});
    return y;
  };
  Session whole(digits, options);
  const auto expected = logits(whole);

  Broken direct("dense_direct");
  options.self_test = SelfTest::always;
  for (std::size_t session_number = 1; session_number <= 2; ++session_number) {  // the second by what was kept
    Session session(digits, options);
    const auto y = logits(session);
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], 0.02) << "by another kernel";
    const std::string description = session.describe_json();
    EXPECT_NE(description.find("failed its self-test on Emulated GPU (dense, bias, relu, fp"), std::string::npos)
        << description;
    ASSERT_EQ(warnings_.size(), session_number);
    EXPECT_NE(warnings_.back().find("the kernel dense_direct failed its self-test"), std::string::npos);
  }
}

TEST_F(CudaSelfTest, NamesEveryRefusalWhereNothingIsLeft) {
  Broken convolution("conv_direct");
  Session session = open(SelfTest::always);
  try {
    run(session);
    ADD_FAILURE() << "fp32 has no other convolution for this layer";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_NE(std::string(error.what()).find("conv_direct: failed its self-test"), std::string::npos) << error.what();
  }
}

TEST_F(CudaSelfTest, EndsWhereTheConversionFails) {
  Broken convert("convert");
  Session session(model_(), {.device = "cuda", .precision = Precision::fp16, .self_test = SelfTest::always});
  try {
    run(session);
    ADD_FAILURE() << "nothing else converts";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device_failed);
    EXPECT_NE(std::string(error.what()).find("the kernel convert failed its self-test"), std::string::npos);
  }
}

TEST_F(CudaSelfTest, WarnsOfADamagedFileAndTestsAnew) {
  {
    Session session = open(SelfTest::always);
    run(session);
  }
  test::write_text(folder_ / "results.json", "{\"format\":1,");
  // This process has read the file already: only another folder is read anew.
  test::ScratchFolder other;
  test::write_text(other / "results.json", "{\"format\":1,");
  setenv("RESNET_ENGINE_CACHE", other.path().c_str(), 1);
  Session session = open(SelfTest::always);
  EXPECT_EQ(run(session), right);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find(other / "results.json"), std::string::npos) << warnings_[0];
  EXPECT_NE(test::read_text(other / "results.json").find("self-test conv_direct"), std::string::npos) << "not rebuilt";
}

TEST_F(CudaSelfTest, IsLeftOutWhereTheArchitectureHasARecord) {
  Session recorded = open(SelfTest::unrecorded), never = open(SelfTest::never);
  run(recorded), run(never);
  EXPECT_TRUE(self_tests(recorded).as_object().empty()) << "the emulator counts as recorded";
  EXPECT_TRUE(self_tests(never).as_object().empty());
  sim::reset();
}

TEST_F(CudaSelfTest, RunsByItselfOnAnArchitectureWithoutARecord) {
  sim::set_devices({{.name = "Some GPU", .sm = 90}});
  Session session = open(SelfTest::unrecorded);
  EXPECT_EQ(run(session), right);
  EXPECT_EQ(self_tests(session).at("conv_direct").as_string(), "passed");
}

TEST_F(CudaSelfTest, TellsHostAndDeviceApart) {
  Session session = open(SelfTest::never);
  const std::vector<float> x(8 * 8 * 3, 0.25f);
  std::vector<float> y(4);
  const auto timed = [&] { return session.run_timed({x.data(), 1, 8, 8, 3}, {y.data(), 1, 1, 1, 4}); };
  for (int i = 0; i < 3; ++i) {
    const Session::RunTimes times = timed();
    EXPECT_EQ(y, right);
    ASSERT_TRUE(times.host_us && times.device_us);
    EXPECT_GT(*times.host_us, 0);
    EXPECT_LE(*times.host_us, times.total_us);
    EXPECT_GE(*times.device_us, 0);
  }
  Session cpu(model_(), {.device = "cpu"});
  const Session::RunTimes times = cpu.run_timed({x.data(), 1, 8, 8, 3}, {y.data(), 1, 1, 1, 4});
  EXPECT_GT(times.total_us, 0);
  EXPECT_FALSE(times.host_us || times.device_us);
}

}  // namespace
}  // namespace resnet
