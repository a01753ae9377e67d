// Which of a library's plans is used: measured once, remembered, measured again when memory is of no use.
#include "backends/cuda/plan_choice.hpp"

#include <gtest/gtest.h>

#include "backends/cuda/cuda_backend.hpp"
#include "backends/cuda/kernel_entries.hpp"
#include "base/check.hpp"
#include "base/log.hpp"
#include "kernels/cuda_api.hpp"
#include "kernels/sim/emulator.hpp"
#include "support/scratch_folder.hpp"

namespace resnet::cuda {
namespace {

/// Plans whose times a test gives; a negative one cannot be built.
struct FakePlans {
  std::vector<double> times;
  std::vector<std::string> names;
  std::vector<std::size_t> measured = {};
  std::size_t current = 99;

  PlanOffer offer() {
    PlanOffer offer;
    offer.names = names;
    offer.build = [this](std::size_t i) {
      if (times[i] < 0) fail(ErrorCode::unsupported, names[i] + " cannot be built");
      current = i;
    };
    offer.measure_us = [this] {
      measured.push_back(current);
      return times[current];
    };
    return offer;
  }
};

class PlanChoice : public testing::Test {
 protected:
  void SetUp() override {
    set_log_sink([this](LogLevel, std::string_view text) { log_ += std::string(text) + '\n'; });
  }
  void TearDown() override { set_log_sink({}); }

  test::ScratchFolder folder_;
  std::string path_ = folder_ / "results.json";
  ResultCache cache_{path_};
  std::string log_;
};

TEST_F(PlanChoice, TakesTheFastestAndBuildsIt) {
  FakePlans plans{{5, 3, 4}, {"a", "b", "c"}};
  EXPECT_EQ(choose_plan(cache_, "key", plans.offer()), 1u);
  EXPECT_EQ(plans.current, 1u);
  EXPECT_EQ(plans.measured, (std::vector<std::size_t>{0, 1, 2}));
}

TEST_F(PlanChoice, NeverMeasuresARememberedPlanAgain) {
  FakePlans first{{5, 3, 4}, {"a", "b", "c"}};
  choose_plan(cache_, "key", first.offer());
  ResultCache other_process(path_);
  FakePlans again{{1, 9, 1}, {"c", "b", "a"}};  // another order, and b is slow now
  EXPECT_EQ(choose_plan(other_process, "key", again.offer()), 1u);
  EXPECT_EQ(again.current, 1u);
  EXPECT_TRUE(again.measured.empty());
  EXPECT_EQ(log_, "");
}

TEST_F(PlanChoice, MeasuresAgainWhatIsNotOfferedAnyMore) {
  cache_.put("key", Json().set("plan", "gone"));
  FakePlans plans{{2, 1}, {"a", "b"}};
  EXPECT_EQ(choose_plan(cache_, "key", plans.offer()), 1u);
  EXPECT_NE(log_.find("gone is not offered any more"), std::string::npos) << log_;
  EXPECT_NE(log_.find(path_), std::string::npos) << log_;
  EXPECT_EQ(cache_.get("key")->at("plan").as_string(), "b");
}

TEST_F(PlanChoice, MeasuresAgainWhatCannotBeBuiltAnyMore) {
  cache_.put("key", Json().set("plan", "a"));
  FakePlans plans{{-1, 1}, {"a", "b"}};
  EXPECT_EQ(choose_plan(cache_, "key", plans.offer()), 1u);
  EXPECT_NE(log_.find("a cannot be built"), std::string::npos) << log_;
}

TEST_F(PlanChoice, MeasuresAgainWhereTheEntryIsSomethingElse) {
  cache_.put("key", Json("nonsense"));
  FakePlans plans{{2, 1}, {"a", "b"}};
  EXPECT_EQ(choose_plan(cache_, "key", plans.offer()), 1u);
  EXPECT_NE(log_.find("names no plan"), std::string::npos) << log_;
}

TEST_F(PlanChoice, PassesOverPlansThatCannotBeBuilt) {
  FakePlans plans{{-1, 7, -1}, {"a", "b", "c"}};
  EXPECT_EQ(choose_plan(cache_, "key", plans.offer()), 1u);
}

TEST_F(PlanChoice, SaysWhyWhenNoneCanBeBuilt) {
  FakePlans plans{{-1, -1}, {"a", "b"}};
  try {
    choose_plan(cache_, "the key", plans.offer());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_NE(std::string(error.what()).find("the key: no plan could be built and measured: b cannot be built"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(PlanChoice, PassesOverPlansWithoutMemoryToMeasureThem) {
  FakePlans plans{{1, 2}, {"a", "b"}};
  PlanOffer offer = plans.offer();
  offer.measure_us = [&]() -> double {
    if (plans.current == 0) fail(ErrorCode::out_of_memory, "64 MiB are not there");
    return plans.times[plans.current];
  };
  EXPECT_EQ(choose_plan(cache_, "key", offer), 1u);
  offer.measure_us = []() -> double { fail(ErrorCode::out_of_memory, "64 MiB are not there"); };
  try {
    choose_plan(cache_, "other key", offer);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << "another entry may need no scratch memory";
    EXPECT_NE(error.message().find("64 MiB are not there"), std::string::npos) << error.what();
  }
}

TEST_F(PlanChoice, DoesNotHideADeviceThatFails) {
  FakePlans plans{{1, 1}, {"a", "b"}};
  PlanOffer offer = plans.offer();
  offer.measure_us = []() -> double { fail(ErrorCode::device_failed, "lost"); };
  try {
    choose_plan(cache_, "key", offer);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device_failed) << error.what();
  }
  EXPECT_FALSE(cache_.get("key"));
}

TEST_F(PlanChoice, MeasuresNothingWhereThereIsNoChoice) {
  FakePlans plans{{1}, {"a"}};
  EXPECT_EQ(choose_plan(cache_, "key", plans.offer()), 0u);
  EXPECT_EQ(plans.current, 0u);
  EXPECT_TRUE(plans.measured.empty());
}

TEST_F(PlanChoice, MeasuresTheFirstFewOnly) {
  FakePlans plans{std::vector<double>(20, 1), {}};
  for (int i = 0; i < 20; ++i) plans.names.push_back("plan" + std::to_string(i));
  choose_plan(cache_, "key", plans.offer());
  EXPECT_EQ(plans.measured.size(), 8u);
  PlanOffer fewer = plans.offer();
  fewer.most_measured = 3;
  choose_plan(cache_, "other key", fewer);
  EXPECT_EQ(plans.measured.size(), 11u);
}

TEST(PlanKey, DiffersWithAllThatATimeDependsOn) {
  DeviceInfo device;
  device.name = "GPU", device.sm = 90, device.multiprocessors = 132;
  const std::string key = plan_key("cuDNN 9.19.0", device, 13000, "conv");
  EXPECT_EQ(key, "cuDNN 9.19.0 | sm_90, 132 multiprocessors, GPU, driver 13000 | conv");
  EXPECT_NE(key, plan_key("cuDNN 9.19.1", device, 13000, "conv"));
  EXPECT_NE(key, plan_key("cuDNN 9.19.0", device, 13010, "conv"));
  EXPECT_NE(key, plan_key("cuDNN 9.19.0", device, 13000, "conv + residual"));
  for (DeviceInfo other : {device, device, device}) {
    static int which = 0;
    if (which == 0) other.name = "other";
    if (which == 1) other.sm = 80;
    if (which == 2) other.multiprocessors = 114;
    ++which;
    EXPECT_NE(key, plan_key("cuDNN 9.19.0", other, 13000, "conv"));
  }
}

class MeasureEnqueued : public testing::Test {
 protected:
  void SetUp() override {
    sim::reset();
    sim::set_devices({{}});
  }
  void TearDown() override {
    for (const sim::Report& report : sim::take_reports()) ADD_FAILURE() << to_string(report);
  }
};

TEST_F(MeasureEnqueued, WarmsUpOnceAndRecordsTheRest) {
  const auto backend = make_cuda_backend(0);
  const auto buffer = backend->allocator().allocate(4096);
  int calls = 0;
  const double us = measure_enqueued_us(*backend, [&] {
    ++calls;
    EXPECT_EQ(cuda_api().cudaMemsetAsync(buffer->data(), 0, 4096, run_target->stream), cudaSuccess);
  });
  EXPECT_GE(us, 0);
  EXPECT_EQ(calls, 6) << "one to load code, five into the recording that is replayed";
  EXPECT_EQ(run_target, nullptr) << "the run has not ended";
}

TEST_F(MeasureEnqueued, EndsTheRunWhenAPlanThrows) {
  const auto backend = make_cuda_backend(0);
  EXPECT_THROW(measure_enqueued_us(*backend, [] { fail(ErrorCode::unsupported, "no"); }), Error);
  EXPECT_EQ(run_target, nullptr);
  EXPECT_GE(measure_enqueued_us(*backend, [] {}), 0);
}

}  // namespace
}  // namespace resnet::cuda
