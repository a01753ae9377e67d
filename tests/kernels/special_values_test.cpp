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

/// Outputs that are NaN, infinite or of another sign of infinity in one alone; the first of them in words.
std::string compare_special(DType type, const std::vector<double>& exact, const std::vector<float>& got) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const float expected = rounded(type, exact[i]);
    const bool infinite = std::isinf(expected) || std::isinf(got[i]);
    if (std::isnan(expected) == std::isnan(got[i]) && (!infinite || expected == got[i])) continue;
    return "element " + std::to_string(i) + " should be " + std::to_string(exact[i]) + " and is " +
           std::to_string(got[i]);
  }
  return {};
}

TEST_P(SpecialValues, NaNsReachWhatDependsOnThemAndNothingElse) {
  for (const Sample& sample : samples_for(*GetParam(), 12)) {
    const OperandSizes sizes = operand_sizes(sample.problem);
    if (!holds_fractions(sizes.x_type) || !holds_fractions(sizes.y_type)) continue;
    if (std::holds_alternative<TopKProblem>(sample.problem)) continue;  // below
    SCOPED_TRACE(case_text(*GetParam(), sample.problem, DataKind::real, *sample.device));
    HostData data = make_data(sample.problem, DataKind::real, options().seed);
    // One in the first half of x, on a channel of its own.
    data.x[data.x.size() / 3] = std::numeric_limits<float>::quiet_NaN();
    const ExactResult exact = exact_result(sample.problem, data);
    const auto count = std::count_if(exact.y.begin(), exact.y.end(), [](double v) { return std::isnan(v); });
    if (std::ssize(exact.y) > 64 && !std::holds_alternative<SoftmaxProblem>(sample.problem)) {
      EXPECT_LT(count, std::ssize(exact.y)) << "the case proves nothing";
    }
    const RunResult result = run_kernel(*GetParam(), sample.problem, *sample.device, data);
    ASSERT_EQ(result.error, cudaSuccess);
    for (const std::string& fault : result.faults) ADD_FAILURE() << fault;
    EXPECT_EQ(compare_special(sizes.y_type, exact.y, decode(sizes.y_type, result.y)), "");
  }
}

TEST_P(SpecialValues, InfinityReachesWhatDependsOnItAndNothingElse) {
  for (const Sample& sample : samples_for(*GetParam(), 12)) {
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
      const ExactResult exact = exact_result(sample.problem, data);
      const RunResult result = run_kernel(*GetParam(), sample.problem, *sample.device, data);
      ASSERT_EQ(result.error, cudaSuccess);
      EXPECT_EQ(compare_special(sizes.y_type, exact.y, decode(sizes.y_type, result.y)), "") << "infinity at " << place;
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
