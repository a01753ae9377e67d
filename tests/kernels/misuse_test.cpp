#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/cuda_api.hpp"
#include "kernels/kernel_run.hpp"
#include "kernels/samples.hpp"

/// Launchers that are called wrongly: an error and nothing launched, or a right result.
namespace resnet::test {
namespace {

using KernelMisuse = testing::TestWithParam<const kernels::Kernel*>;

using Setter = std::function<void(kernels::Problem&, std::int64_t)>;

template <class P, class... Member>
std::vector<Setter> setters(Member... members) {
  return {[members](kernels::Problem& problem, std::int64_t value) { std::get<P>(problem).*members = value; }...};
}

/// What must be at least 1 in a problem of that kind.
std::vector<Setter> size_setters(const kernels::Problem& problem) {
  using Conv = ConvProblem;
  using Pool = PoolProblem;
  using Adaptive = AdaptivePoolProblem;
  using Both = PoolDenseProblem;
  if (std::holds_alternative<Conv>(problem)) {
    return setters<Conv>(&Conv::N, &Conv::H, &Conv::W, &Conv::C, &Conv::K, &Conv::R, &Conv::S, &Conv::P, &Conv::Q,
                         &Conv::stride_h, &Conv::stride_w, &Conv::dilation_h, &Conv::dilation_w, &Conv::groups);
  }
  if (std::holds_alternative<DenseProblem>(problem))
    return setters<DenseProblem>(&DenseProblem::N, &DenseProblem::C, &DenseProblem::K);
  if (std::holds_alternative<Pool>(problem)) {
    return setters<Pool>(&Pool::N, &Pool::H, &Pool::W, &Pool::C, &Pool::R, &Pool::S, &Pool::P, &Pool::Q,
                         &Pool::stride_h, &Pool::stride_w);
  }
  if (std::holds_alternative<Adaptive>(problem))
    return setters<Adaptive>(&Adaptive::N, &Adaptive::H, &Adaptive::W, &Adaptive::C, &Adaptive::P, &Adaptive::Q);
  if (std::holds_alternative<PointwiseProblem>(problem))
    return setters<PointwiseProblem>(&PointwiseProblem::N, &PointwiseProblem::positions_per_image,
                                     &PointwiseProblem::C);
  if (std::holds_alternative<PadProblem>(problem))
    return setters<PadProblem>(&PadProblem::N, &PadProblem::H, &PadProblem::W, &PadProblem::C);
  if (std::holds_alternative<SoftmaxProblem>(problem))
    return setters<SoftmaxProblem>(&SoftmaxProblem::rows, &SoftmaxProblem::C);
  if (std::holds_alternative<TopKProblem>(problem))
    return setters<TopKProblem>(&TopKProblem::rows, &TopKProblem::C, &TopKProblem::k);
  if (std::holds_alternative<Both>(problem)) return setters<Both>(&Both::N, &Both::H, &Both::W, &Both::C, &Both::K);
  return {[](kernels::Problem& own, std::int64_t value) { std::get<ConvertProblem>(own).in.dims.n = value; },
          [](kernels::Problem& own, std::int64_t value) { std::get<ConvertProblem>(own).in.dims.c = value; }};
}

TEST_P(KernelMisuse, RunsAtLeastOneProblemOfTheTable) {
  EXPECT_FALSE(samples_for(*GetParam(), 1).empty()) << GetParam()->name << " takes no small problem of the table";
}

TEST_P(KernelMisuse, GivesAReasonForEveryRefusal) {
  for (const std::vector<ProblemCase>& cases : {edge_problems(), network_problems(1, Sizes::full)}) {
    for (const ProblemCase& c : cases) {
      for (const Types& types : types_for(c.problem)) {
        const kernels::Problem problem = with_types(c.problem, types);
        for (const DeviceInfo& device : devices()) {
          const Support support = GetParam()->supports(problem, device);
          EXPECT_NE(support.ok, support.reason.size() > 3) << kernels::to_string(problem) << ": " << support.reason;
        }
      }
    }
  }
}

TEST_P(KernelMisuse, LaunchesNothingForAProblemThatItRefuses) {
  // One refused problem of every kind, and of its own kind several.
  std::vector<std::size_t> launched(std::variant_size_v<kernels::Problem>);
  for (const ProblemCase& c : edge_problems()) {
    std::size_t& count = launched[c.problem.index()];
    for (const Types& types : types_for(c.problem)) {
      const kernels::Problem problem = with_types(c.problem, types);
      const DeviceInfo& device = devices().front();
      if (count >= 3 || work_of(problem) > 100000 || GetParam()->supports(problem, device)) continue;
      ++count;
      const HostData data = make_data(problem, DataKind::signed_integers, options().seed);
      // Its own functions for weights know only what it supports.
      kernels::Kernel kernel = *GetParam();
      kernel.weights = {"plain", [](const kernels::Problem&) { return std::size_t{1 << 20}; },
                        [](const kernels::Problem&, std::span<const float>, std::byte*) {}};
      const RunResult result = run_kernel(kernel, problem, device, data);
      EXPECT_EQ(result.error, cudaErrorNotSupported) << kernels::to_string(problem);
      EXPECT_TRUE(result.untouched) << kernels::to_string(problem);
      EXPECT_TRUE(result.faults.empty()) << result.faults.front();
    }
  }
}

TEST_P(KernelMisuse, RefusesSizesWithoutSense) {
  // Every size of a problem in turn: zero and negative.
  const auto refused = [](const kernels::Problem& problem) {
    const Support support = GetParam()->supports(problem, devices().front());
    EXPECT_FALSE(support) << kernels::to_string(problem);
    EXPECT_FALSE(support.reason.empty());
    EXPECT_EQ(GetParam()->launch(problem, {}, {nullptr, &devices().front()}), cudaErrorNotSupported);
  };
  for (const Sample& sample : samples_for(*GetParam(), 1)) {
    for (const std::int64_t wrong : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
      for (const auto& set : size_setters(sample.problem)) {
        kernels::Problem problem = sample.problem;
        set(problem, wrong);
        refused(problem);
      }
    }
  }
}

TEST_P(KernelMisuse, LaunchesNothingWithoutAnOperand) {
  for (const Sample& sample : samples_for(*GetParam(), 6)) {
    const OperandSizes sizes = operand_sizes(sample.problem);
    const HostData data = make_data(sample.problem, DataKind::signed_integers, options().seed);
    const std::pair<const char*, bool> operands[] = {
        {"x", true},
        {"second", sizes.second > 0},
        {"weight", sizes.weight > 0},
        {"scale", sizes.scale > 0},
        {"shift", sizes.shift > 0},
        {"y", true},
        {"indices", sizes.indices > 0},
        {"workspace", GetParam()->workspace_bytes(sample.problem, *sample.device) > 0},
        {"semaphores", GetParam()->workspace_bytes(sample.problem, *sample.device) > 0}};
    for (const auto& [name, needed] : operands) {
      if (!needed) continue;
      RunOptions how;
      how.missing = name;
      const RunResult result = run_kernel(*GetParam(), sample.problem, *sample.device, data, how);
      // Scratch memory without semaphores is a matter of the kernel.
      if (how.missing == "semaphores" && result.error == cudaSuccess && !result.untouched) continue;
      EXPECT_EQ(result.error, cudaErrorInvalidValue) << kernels::to_string(sample.problem) << " without " << name;
      EXPECT_TRUE(result.untouched) << kernels::to_string(sample.problem) << " without " << name;
    }
  }
}

TEST_P(KernelMisuse, RefusesMisalignedOperandsOrIsRight) {
  for (const Sample& sample : samples_for(*GetParam(), 8)) {
    const OperandSizes sizes = operand_sizes(sample.problem);
    const HostData data = make_data(sample.problem, DataKind::signed_integers, options().seed);
    const bool integers = takes_integers(sample.problem);
    const DataKind kind = integers ? DataKind::signed_integers : DataKind::real;
    const HostData& used = integers ? data : make_data(sample.problem, kind, options().seed);
    const std::vector<ExactResult> references = references_of(sample.problem, kind, used);
    struct Operand {
      const char* name;
      std::size_t RunOptions::Offsets::*offset;
      std::size_t element;
      bool present;
    };
    constexpr std::size_t word = sizeof(float);
    const Operand operands[] = {{"x", &RunOptions::Offsets::x, size_of(sizes.x_type), true},
                                {"second", &RunOptions::Offsets::second, size_of(sizes.second_type), sizes.second > 0},
                                {"weight", &RunOptions::Offsets::weight, size_of(sizes.x_type), sizes.weight > 0},
                                {"scale", &RunOptions::Offsets::scale, word, sizes.scale > 0},
                                {"shift", &RunOptions::Offsets::shift, word, sizes.shift > 0},
                                {"workspace", &RunOptions::Offsets::workspace, word,
                                 GetParam()->workspace_bytes(sample.problem, *sample.device) > 0},
                                {"y", &RunOptions::Offsets::y, size_of(sizes.y_type), true}};
    for (const Operand& operand : operands) {
      for (const std::size_t offset : {1u, 2u, 4u, 8u}) {
        if (!operand.present) continue;
        SCOPED_TRACE(case_text(*GetParam(), sample.problem, kind, *sample.device) + ", " + operand.name + " + " +
                     std::to_string(offset));
        RunOptions how;
        how.offsets.*operand.offset = offset;
        const RunResult result = run_kernel(*GetParam(), sample.problem, *sample.device, used, how);
        for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
        if (offset % operand.element != 0) {
          EXPECT_EQ(result.error, cudaErrorMisalignedAddress);
        }
        if (result.error == cudaErrorMisalignedAddress) {
          EXPECT_TRUE(result.untouched);
        } else {
          ASSERT_EQ(result.error, cudaSuccess);
          EXPECT_EQ(judge(sample.problem, kind, references, result), "");
        }
      }
    }
  }
}

TEST_P(KernelMisuse, WritesOverAResidualThatIsTheOutput) {
  for (const Sample& sample : samples_for(*GetParam(), 20)) {
    const EpilogueProblem* const epilogue = epilogue_of(sample.problem);
    if (!epilogue || !epilogue->residual) continue;
    SCOPED_TRACE(case_text(*GetParam(), sample.problem, DataKind::signed_integers, *sample.device));
    const HostData data = make_data(sample.problem, DataKind::signed_integers, options().seed);
    RunOptions how;
    how.residual_in_place = true;
    const RunResult result = run_kernel(*GetParam(), sample.problem, *sample.device, data, how);
    for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
    ASSERT_EQ(result.error, cudaSuccess);
    EXPECT_EQ(judge(sample.problem, DataKind::signed_integers,
                    references_of(sample.problem, DataKind::signed_integers, data), result),
              "");
  }
}

TEST_P(KernelMisuse, EstimatesATimeAndAWorkspaceForEveryLayer) {
  for (const std::int64_t batch : {1, 256}) {
    for (const ProblemCase& c : network_problems(batch, Sizes::full)) {
      for (const Types& types : types_for(c.problem)) {
        const kernels::Problem problem = with_types(c.problem, types);
        for (const DeviceInfo& device : devices()) {
          if (!GetParam()->supports(problem, device)) continue;
          const double us = GetParam()->estimate_us(problem, device);
          EXPECT_TRUE(std::isfinite(us) && us > 0) << us << " us for " << kernels::to_string(problem);
          EXPECT_LE(GetParam()->workspace_bytes(problem, device), std::size_t{2} << 30) << kernels::to_string(problem);
        }
      }
    }
  }
}

TEST(KernelMisuseSamples, HoldASplitReductionOfEveryKernelThatSplits) {
  for (const char* name : {"conv_mma", "dense_mma", "conv_direct", "dense_direct"}) {
    const kernels::Kernel* const kernel = kernels::find_kernel(name);
    ASSERT_TRUE(kernel) << name;
    const std::vector<Sample> samples = samples_for(*kernel, 1);
    EXPECT_TRUE(std::any_of(samples.begin(), samples.end(),
                            [&](const Sample& s) { return kernel->workspace_bytes(s.problem, *s.device) > 0; }))
        << "no small problem makes " << name << " split its reduction";
  }
}

INSTANTIATE_TEST_SUITE_P(Catalog, KernelMisuse, testing::ValuesIn(tested_kernels()), KernelName());

}  // namespace
}  // namespace resnet::test
