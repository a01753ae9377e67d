#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/kernel_run.hpp"
#include "kernels/numbers.hpp"
#include "kernels/samples.hpp"

/// NaN and infinity reach exactly the outputs that depend on them: what masks by multiplying with zero does not.
namespace resnet::test {
namespace {

using SpecialValues = testing::TestWithParam<const kernels::Kernel*>;

bool holds_fractions(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }

/// Narrow groups, of which kernels bundle several: zero weights lie between them, for one row of tiles and for two.
const ConvProblem narrow_groups[] = {
    make_conv({.H = 5, .W = 6, .C = 32, .K = 32, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 8}),
    make_conv({.H = 8, .W = 16, .C = 16, .K = 16, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 2}),
};

std::vector<Sample> samples_with_groups(const kernels::Kernel& kernel) {
  std::vector<Sample> samples = samples_for(kernel, 12);
  for (const ConvProblem& shape : narrow_groups) {
    for (const Types& types : types_for(shape)) {
      const kernels::Problem problem = with_types(shape, types);
      const auto device = std::find_if(devices().begin(), devices().end(), [&](const DeviceInfo& d) {
        return static_cast<bool>(kernel.supports(problem, d));
      });
      if (device != devices().end()) samples.push_back({problem, &*device});
    }
  }
  return samples;
}

/// Whether at some position one of the first 16 channels is finite and another one is not.
bool splits_a_bundle(const std::vector<double>& y, const Dims& dims) {
  const std::int64_t bundle = std::min<std::int64_t>(16, dims.c);
  for (auto at = y.begin(); at != y.end(); at += dims.c) {
    const auto finite = std::count_if(at, at + bundle, [](double sum) { return std::isfinite(sum); });
    if (finite > 0 && finite < bundle) return true;
  }
  return false;
}

/// And every input counts, and infinity stays infinity.
bool has_narrow_groups(const kernels::Problem& problem) {
  const auto* const conv = std::get_if<ConvProblem>(&problem);
  return conv && conv->groups > 1 && conv->K / conv->groups < 16 && conv->stride_h == 1 && conv->stride_w == 1 &&
         conv->epilogue.activation.kind == ActivationKind::none;
}

TEST_P(SpecialValues, NaNsReachWhatDependsOnThemAndNothingElse) {
  for (const Sample& sample : samples_with_groups(*GetParam())) {
    const OperandSizes sizes = operand_sizes(sample.problem);
    if (!holds_fractions(sizes.x_type) || !holds_fractions(sizes.y_type)) continue;
    if (std::holds_alternative<TopKProblem>(sample.problem)) continue;  // below
    SCOPED_TRACE(case_text(*GetParam(), sample.problem, DataKind::real, *sample.device));
    HostData data = make_data(sample.problem, DataKind::real, options().seed);
    // One in the first half of x, on a channel of its own.
    data.x[data.x.size() / 3] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<ExactResult> references = references_of(sample.problem, DataKind::real, data);
    const std::vector<double>& exact = references.front().y;
    const auto count = std::count_if(exact.begin(), exact.end(), [](double v) { return std::isnan(v); });
    if (std::ssize(exact) > 64 && !std::holds_alternative<SoftmaxProblem>(sample.problem)) {
      EXPECT_LT(count, std::ssize(exact)) << "the case proves nothing";
    }
    const RunResult result = run_kernel(*GetParam(), sample.problem, *sample.device, data);
    ASSERT_EQ(result.error, cudaSuccess);
    for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
    EXPECT_EQ(judge_special(sample.problem, references, result), "");
  }
}

TEST_P(SpecialValues, InfinityReachesWhatDependsOnItAndNothingElse) {
  for (const Sample& sample : samples_with_groups(*GetParam())) {
    const OperandSizes sizes = operand_sizes(sample.problem);
    if (sizes.weight == 0 || std::holds_alternative<PoolDenseProblem>(sample.problem)) continue;
    SCOPED_TRACE(case_text(*GetParam(), sample.problem, DataKind::real, *sample.device));
    HostData data = make_data(sample.problem, DataKind::real, options().seed);
    // Positive weights and one infinity: sums are infinite or finite, never NaN, unless an infinity meets a zero.
    for (float& weight : data.weight) weight = std::max(std::abs(weight), 0.0625f);
    for (float& scale : data.scale) scale = 1;
    // Neighbouring places: what surrounds a filter row in vectors lies on some channels and columns only.
    for (std::size_t place = data.x.size() / 2, end = std::min(place + 6, data.x.size()); place < end; ++place) {
      const float before = std::exchange(data.x[place], std::numeric_limits<float>::infinity());
      const std::vector<ExactResult> references = references_of(sample.problem, DataKind::real, data);
      if (has_narrow_groups(sample.problem)) {
        EXPECT_TRUE(splits_a_bundle(references.front().y, sizes.y_dims)) << "the case proves nothing";
      }
      const RunResult result = run_kernel(*GetParam(), sample.problem, *sample.device, data);
      ASSERT_EQ(result.error, cudaSuccess);
      for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
      EXPECT_EQ(judge_special(sample.problem, references, result), "") << "infinity at " << place;
      data.x[place] = before;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Catalog, SpecialValues, testing::ValuesIn(tested_kernels()), KernelName());

TEST(TopK, CountsNaNAsTheSmallestAndKeepsTheOrderOfEqualValues) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const TopKProblem problem{2, 7, 6, DType::f32};
  HostData data;
  data.x = {nan, 1, -inf, 1, inf, nan, 0, -0.0f, nan, 0, 5, nan, 5, -1};
  for (const kernels::Kernel* kernel : tested_kernels()) {
    if (!kernel->supports(problem, devices().front())) continue;
    const RunResult result = run_kernel(*kernel, problem, devices().front(), data);
    ASSERT_EQ(result.error, cudaSuccess);
    EXPECT_EQ(result.indices, (std::vector<std::int32_t>{4, 1, 3, 6, 2, 0, 3, 5, 0, 2, 6, 1})) << kernel->name;
  }
}

TEST(Activations, KeepNaN) {
  using enum ActivationKind;
  for (const ActivationKind kind : {none, relu, relu6, leaky_relu, sigmoid, hard_sigmoid, silu}) {
    PointwiseProblem problem;
    problem.N = 1, problem.positions_per_image = 4, problem.C = 8;
    problem.epilogue.activation = {kind, 0.25f, 0.5f};
    HostData data;
    data.x.assign(32, 1.0f);
    data.x[9] = std::numeric_limits<float>::quiet_NaN();
    const kernels::Kernel* const kernel = kernels::select_kernel(problem, devices().front());
    ASSERT_TRUE(kernel);
    const std::vector<float> y = decode(DType::f32, run_kernel(*kernel, problem, devices().front(), data).y);
    for (std::size_t i = 0; i < y.size(); ++i)
      EXPECT_EQ(std::isnan(y[i]), i == 9) << kernel->name << ", activation " << static_cast<int>(kind) << ", " << i;
  }
}

}  // namespace
}  // namespace resnet::test
