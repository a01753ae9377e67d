// What the C interface does when something goes wrong: on a GPU where one is, on the emulator in every test run.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "gpu/network_run.hpp"
#include "gpu/trap.hpp"
#include "resnet_engine/error.hpp"
#include "support/cuda_injector.hpp"
#include "support/random_model.hpp"

namespace resnet::test {
namespace {

class Faults : public testing::Test {
 protected:
  const std::string file_ = model_file("resnet18");
  const ModelHandle model_ = load(file_);
};

TEST_F(Faults, NamesADeviceThatIsNotThere) {
  rne_session* session = nullptr;
  EXPECT_NE(rne_session_create(model_.get(), "cuda:99", "fp32", 0, &session), RNE_OK);
  EXPECT_NE(std::strstr(rne_last_error(), "there is no device 99"), nullptr) << rne_last_error();
}

TEST_F(Faults, OutlivesAnInputThatNeedsMoreMemoryThanThereIs) {
  const SessionHandle session = open(model_, "cuda", "bf16"), other = open(model_, "cuda", "bf16");
  const auto x = pictures(1, 7);
  const auto expected = run(session, x, 1);
  std::vector<float> y(test_classes);
  // Planned for 2^22 pictures, refused before a byte of the input is read.
  EXPECT_EQ(rne_session_run(session.get(), x.data(), RNE_FLOAT32, RNE_NHWC, std::int64_t{1} << 22, options().size,
                            options().size, y.data()),
            static_cast<rne_status>(ErrorCode::out_of_memory));
  EXPECT_NE(std::strstr(rne_last_error(), "device memory could not be allocated"), nullptr) << rne_last_error();
  EXPECT_EQ(run(session, x, 1), expected);
  EXPECT_EQ(run(other, x, 1), expected);
}

TEST_F(Faults, ServesThreadsWithASessionEach) {
  const auto x = pictures(1, 7);
  const auto expected = run(open(model_, "cuda", "bf16"), x, 1);
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> results(static_cast<std::size_t>(options().threads));
  for (auto& result : results) {
    threads.emplace_back([&] {
      const SessionHandle session = open(model_, "cuda", "bf16");
      for (int i = 0; i < 3; ++i) result = run(session, x, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

TEST_F(Faults, RefusesInAForkedProcess) {
  const SessionHandle session = open(model_, "cuda", "bf16");
  const auto x = pictures(1, 7);
  const auto expected = run(session, x, 1);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::vector<float> y(test_classes);
    const std::int64_t size = options().size;
    const rne_status status = rne_session_run(session.get(), x.data(), RNE_FLOAT32, RNE_NHWC, 1, size, size, y.data());
    _exit(status != RNE_OK && std::strstr(rne_last_error(), "forked") != nullptr ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "the child ran, hung up or said something else";
  EXPECT_EQ(run(session, x, 1), expected);
}

/// A network of a few layers, so that every CUDA call of its life can fail in turn.
NetworkSpec small_network() {
  NetworkSpec net;
  net.layers = {{"input",
                 "input",
                 {},
                 {{"channels", std::int64_t{3}}, {"height", std::int64_t{8}}, {"width", std::int64_t{8}}},
                 {}},
                {"conv",
                 "conv2d",
                 {"input"},
                 {{"padding", std::string("same")}},
                 {{"weight", "conv.weight"}, {"bias", "conv.bias"}}},
                {"relu", "relu", {"conv"}, {}, {}},
                {"pool", "global_avg_pool", {"relu"}, {}, {}},
                {"flatten", "flatten", {"pool"}, {}, {}},
                {"fc", "dense", {"flatten"}, {}, {{"weight", "fc.weight"}, {"bias", "fc.bias"}}}};
  net.tensors["conv.weight"] = {DType::f32, {16, 3, 3, 3}};
  net.tensors["conv.bias"] = {DType::f32, {16}};
  net.tensors["fc.weight"] = {DType::f32, {4, 16}};
  net.tensors["fc.bias"] = {DType::f32, {4}};
  net.output = "fc";
  return net;
}

class FailingCuda : public testing::Test {
 protected:
  struct Outcome {
    rne_status status = RNE_OK;
    std::string text;
    std::vector<float> y;
    bool operator==(const Outcome&) const = default;
  };

  /// A session from beginning to end, two sizes: plans, an arena that grows, a replay.
  Outcome work() const {
    Outcome outcome;
    rne_model* model = nullptr;
    rne_session* session = nullptr;
    outcome.status = rne_model_load(file_.c_str(), &model);
    if (outcome.status == RNE_OK) outcome.status = rne_session_create(model, "cuda:0", "fp32", 1, &session);
    for (const std::int64_t size : {8, 12, 8}) {
      if (outcome.status != RNE_OK) break;
      const auto x = random_values(static_cast<std::size_t>(size * size * 3), 7);
      std::vector<float> y(4);
      outcome.status = rne_session_run(session, x.data(), RNE_FLOAT32, RNE_NHWC, 1, size, size, y.data());
      outcome.y.insert(outcome.y.end(), y.begin(), y.end());
    }
    if (outcome.status != RNE_OK) outcome.text = rne_last_error(), outcome.y.clear();
    rne_session_free(session);
    rne_model_free(model);
    return outcome;
  }

  const std::string file_ = model_file("small", small_network());
};

TEST_F(FailingCuda, EveryCallInTurnIsAnErrorAndHarmsNothingLater) {
  const Outcome expected = work();
  ASSERT_EQ(expected.status, RNE_OK) << expected.text;
  for (const bool sticky : {false, true}) {
    int failures = 0;
    for (int at = 0;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at) + (sticky ? " and all later ones" : ""));
      CudaInjector injector;
      injector.at = at, injector.error = cudaErrorIllegalAddress, injector.sticky = sticky;
      const Outcome outcome = work();
      if (outcome.status == RNE_OK) {
        EXPECT_EQ(outcome, expected);  // done without what failed
      } else {
        ++failures;
        EXPECT_NE(outcome.text.find("cuda:0"), std::string::npos) << outcome.text;
      }
      EXPECT_EQ(CudaInjector::alive, 0) << "allocations, streams, events and graphs that nobody gave back";
      const bool reached = CudaInjector::fired;
      injector.at = -1;
      EXPECT_EQ(work(), expected);
      if (!reached || HasFailure()) break;
    }
    EXPECT_GT(failures, 20);
  }
}

TEST_F(FailingCuda, EveryAllocationInTurnIsOutOfMemory) {
  const Outcome expected = work();
  int failures = 0;
  for (int at = 0;; ++at) {
    SCOPED_TRACE("allocation " + std::to_string(at));
    CudaInjector injector;
    injector.only_allocations = true, injector.at = at, injector.error = cudaErrorMemoryAllocation;
    const Outcome outcome = work();
    if (!CudaInjector::fired) {
      EXPECT_EQ(outcome, expected);
      break;
    }
    ++failures;
    EXPECT_EQ(outcome.status, static_cast<rne_status>(ErrorCode::out_of_memory));
    EXPECT_NE(outcome.text.find("MiB of device memory"), std::string::npos) << outcome.text;
    EXPECT_EQ(CudaInjector::alive, 0);
    if (HasFailure()) break;
  }
  EXPECT_GE(failures, 4);
}

/// In a process of its own: a kernel stops with a trap, behind which CUDA refuses everything.
void work_behind_a_trap(const std::string& file) {
  const auto quit_unless = [](bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "%s; last error: %s\n", what, rne_last_error());
    std::_Exit(1);
  };
  ModelHandle model = load(file);
  SessionHandle session = open(model, "cuda:0", "fp32");
  const auto x = random_values(8 * 8 * 3, 7);
  std::vector<float> y(4);
  const auto run_once = [&] {
    return rne_session_run(session.get(), x.data(), RNE_FLOAT32, RNE_NHWC, 1, 8, 8, y.data());
  };
  quit_unless(run_once() == RNE_OK, "the first run failed");
  quit_unless(trap() != cudaSuccess, "the trap did not stop the kernel");
  for (int i = 0; i < 2; ++i) {
    quit_unless(run_once() == static_cast<rne_status>(ErrorCode::device_failed), "a run did not fail");
    quit_unless(std::strstr(rne_last_error(), "cuda:0") != nullptr, "the error does not name the device");
  }
  rne_session* second = nullptr;
  quit_unless(rne_session_create(model.get(), "cuda:0", "fp32", 1, &second) != RNE_OK ||
                  rne_session_run(second, x.data(), RNE_FLOAT32, RNE_NHWC, 1, 8, 8, y.data()) != RNE_OK,
              "a second session ran");
  rne_session_free(second);
  session.reset(), model.reset();
  std::exit(0);
}

TEST_F(FailingCuda, ATrapIsAnErrorOfEveryLaterCallAndTheProgramEndsInOrder) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // starts this program anew: CUDA does not survive a fork
  EXPECT_EXIT(work_behind_a_trap(file_), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace resnet::test
