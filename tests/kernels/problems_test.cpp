#include "support/problems.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "kernels/kernel_run.hpp"
#include "kernels/launch_recorder.hpp"
#include "kernels/numbers.hpp"

/// The table of problems, the data and the judge: a test that cannot fail is a defect.
namespace resnet::test {
namespace {

std::vector<ProblemCase> convolutions(std::vector<ProblemCase> cases) {
  std::erase_if(cases, [](const ProblemCase& c) { return !std::holds_alternative<ConvProblem>(c.problem); });
  return cases;
}

TEST(ProblemTable, HoldsEveryDistinctLayerOfTheNetworksOnce) {
  const std::vector<ProblemCase> all = network_problems(1, Sizes::full);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(all[i].problem == all[j].problem) << all[i].name;
  }
  const auto first = std::get<ConvProblem>(all.front().problem);
  EXPECT_EQ(kernels::to_string(all.front().problem),
            "conv 1x224x224x3 -> 1x112x112x64, 7x7/2x2, f32 + scale + shift + activation");
  EXPECT_EQ(first.macs(), 118013952);
}

TEST(ProblemTable, FusesTheResidualIntoTheLastConvolutionOfABlock) {
  const std::vector<ProblemCase> all = network_problems(1, Sizes::full);
  const auto find = [&](const std::string& name) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const ProblemCase& c) { return c.name == name; });
    if (found == all.end()) return std::string("missing");
    return kernels::to_string(found->problem);
  };
  EXPECT_EQ(find("resnet18_layer1_0_conv2"),
            "conv 1x56x56x64 -> 1x56x56x64, 3x3, f32 + scale + shift + residual + activation");
  EXPECT_EQ(find("resnet50_layer2_0_downsample_0"), "conv 1x56x56x256 -> 1x28x28x512, 1x1/2x2, f32 + scale + shift");
  EXPECT_EQ(find("resnext50_32x4d_layer2_0_conv2"),
            "conv 1x56x56x256 -> 1x28x28x256, 3x3/2x2 groups 32, f32 + scale + shift + activation");
}

TEST(ProblemTable, NamesEveryProblemDifferently) {
  std::set<std::string> names;
  for (const std::vector<ProblemCase>& cases :
       {network_problems(2, Sizes::reduced), edge_problems(), round_problems(), random_problems(1, 50)}) {
    for (const ProblemCase& c : cases) EXPECT_TRUE(names.insert(c.name).second) << c.name;
  }
}

TEST(ProblemTable, HasNoEmptyOutputs) {
  for (const std::vector<ProblemCase>& cases :
       {network_problems(1, Sizes::tiny), network_problems(1, Sizes::reduced), edge_problems(), round_problems(),
        random_problems(options().seed, options().random_problems)}) {
    for (const ProblemCase& c : cases) {
      const Dims y = operand_sizes(c.problem).y_dims;
      EXPECT_TRUE(y.n > 0 && y.h > 0 && y.w > 0 && y.c > 0) << c.name << ": " << to_string(y);
    }
  }
}

TEST(ProblemTable, ReducesLayersToWhatAnEmulatorAffords) {
  for (const ProblemCase& c : network_problems(1, Sizes::reduced)) EXPECT_LE(work_of(c.problem), 8000000) << c.name;
  for (const ProblemCase& c : network_problems(1, Sizes::tiny)) EXPECT_LE(work_of(c.problem), 500000) << c.name;
}

TEST(ProblemTable, KeepsFiltersStridesAndGroupWidthsWhenItReduces) {
  using Structure = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
  const auto structures = [](Sizes sizes) {
    std::set<Structure> all;
    for (const ProblemCase& c : convolutions(network_problems(1, sizes))) {
      const auto& p = std::get<ConvProblem>(c.problem);
      all.insert({p.R, p.stride_h, p.groups > 1, p.groups > 1 ? p.C / p.groups : 0});
    }
    return all;
  };
  EXPECT_EQ(structures(Sizes::reduced), structures(Sizes::full));
  EXPECT_EQ(structures(Sizes::tiny), structures(Sizes::full));
}

TEST(ProblemTable, IsAFunctionOfTheSeed) {
  const auto a = random_problems(5, 40), b = random_problems(5, 40), c = random_problems(6, 40);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].problem == b[i].problem);
  EXPECT_FALSE(std::equal(a.begin(), a.end(), c.begin(),
                          [](const ProblemCase& x, const ProblemCase& y) { return x.problem == y.problem; }));
}

TEST(ProblemTable, BringsTheBlocksOfEveryPersistentKernelRoundAgain) {
  const auto [few, many] =
      std::minmax_element(devices().begin(), devices().end(), [](const DeviceInfo& a, const DeviceInfo& b) {
        return std::pair(a.multiprocessors, a.sm) < std::pair(b.multiprocessors, b.sm);
      });
  if (few->multiprocessors > 1) GTEST_SKIP() << "needs a device of one multiprocessor";
  const auto blocks = [](const RecordedLaunch& launch) { return launch.config.gridDim.x * launch.config.gridDim.y; };
  std::set<std::string> all;
  for (const ProblemCase& c : round_problems()) {
    EXPECT_LE(work_of(c.problem), 120000) << c.name;
    std::set<std::string> seen;
    for (const Types& types : types_for(c.problem)) {
      const kernels::Problem problem = with_types(c.problem, types);
      for (const kernels::Kernel* kernel : kernels::catalog()) {
        if (!kernel->supports(problem, *few) || !kernel->supports(problem, *many)) continue;
        const auto here = record_launches(*kernel, problem, *few), there = record_launches(*kernel, problem, *many);
        for (std::size_t i = 0; i < here.size() && i < there.size(); ++i) {
          if (here[i].name == there[i].name && blocks(here[i]) < blocks(there[i])) seen.insert(here[i].name);
        }
      }
    }
    EXPECT_FALSE(seen.empty()) << c.name << ": all blocks fit at once";
    all.merge(seen);
  }
  for (const char* kernel : {"adaptive_pool", "conv_grouped_mma", "conv_stem", "convert", "convert_pixels", "pad",
                             "pointwise", "pool", "softmax", "top_k_best", "transpose"})
    EXPECT_TRUE(all.contains(kernel)) << kernel;
}

/// A result as a perfect kernel would store it.
RunResult perfect(const kernels::Problem& problem, const ExactResult& exact, double factor = 1, double added = 0) {
  const OperandSizes sizes = operand_sizes(problem);
  std::vector<float> values;
  for (const double value : exact.y) values.push_back(static_cast<float>(value * factor + added));
  RunResult result;
  result.y = encode(sizes.y_type, values);
  return result;
}

struct Judged {
  kernels::Problem problem;
  HostData data;
  ExactResult exact;
  Judged(DataKind kind, DType type, Precision precision) {
    problem = with_types(make_conv({.H = 8, .W = 8, .C = 64, .K = 16, .R = 3, .S = 3, .pads = {1, 1, 1, 1}}),
                         {type, type, precision});
    data = make_data(problem, kind, 1);
    exact = exact_result(problem, data);
  }
  std::string judge(DataKind kind, const RunResult& result) const {
    return resnet::test::judge(problem, kind, exact, result);
  }
};

TEST(Judge, TakesAPerfectResultOfEveryKind) {
  for (const DataKind kind : {DataKind::signed_integers, DataKind::positive_integers, DataKind::real}) {
    const Judged bf16(kind, DType::bf16, Precision::bf16), f32(kind, DType::f32, Precision::fp32);
    EXPECT_EQ(bf16.judge(kind, perfect(bf16.problem, bf16.exact)), "");
    EXPECT_EQ(f32.judge(kind, perfect(f32.problem, f32.exact)), "");
  }
}

TEST(Judge, NamesTheFirstWrongElement) {
  const Judged c(DataKind::signed_integers, DType::f32, Precision::fp32);
  RunResult result = perfect(c.problem, c.exact);
  const float wrong = 12345;
  std::memcpy(result.y.data() + 4 * (16 * 8 * 2 + 16 * 3 + 5), &wrong, 4);
  EXPECT_NE(c.judge(DataKind::signed_integers, result).find("1 of 1024 elements, the first at (n,p,q,k) = (0,2,3,5)"),
            std::string::npos)
      << c.judge(DataKind::signed_integers, result);
}

TEST(Judge, RefusesAStoreThatTruncates) {
  const Judged c(DataKind::real, DType::bf16, Precision::bf16);
  RunResult result;
  for (const double value : c.exact.y) {
    const auto narrow = static_cast<float>(value);
    std::uint32_t bits;
    std::memcpy(&bits, &narrow, 4);
    result.y.push_back(static_cast<std::byte>(bits >> 16));
    result.y.push_back(static_cast<std::byte>(bits >> 24));
  }
  EXPECT_NE(c.judge(DataKind::real, result), "");
}

TEST(Judge, RefusesDoubleRoundingOfABias) {
  kernels::Problem problem =
      with_types(make_conv({.H = 16, .W = 16, .C = 64, .K = 16}), {DType::f16, DType::f16, Precision::fp16});
  std::get<ConvProblem>(problem).epilogue.shift = true;
  const HostData data = make_data(problem, DataKind::real, 1);
  const ExactResult exact = exact_result(problem, data);
  std::vector<float> values;
  for (std::size_t i = 0; i < exact.y.size(); ++i) {
    const auto shift = static_cast<double>(data.shift[i % 16]);
    values.push_back(static_cast<float>(static_cast<double>(rounded(DType::f16, exact.y[i] - shift)) + shift));
  }
  RunResult result;
  result.y = encode(DType::f16, values);
  EXPECT_NE(judge(problem, DataKind::real, exact, result), "");
}

TEST(Judge, RefusesANaNAndAMissingWrite) {
  for (const DataKind kind : {DataKind::signed_integers, DataKind::real}) {
    const Judged c(kind, DType::f16, Precision::fp16);
    RunResult result = perfect(c.problem, c.exact);
    result.y[100] = result.y[101] = std::byte{0xff};
    EXPECT_NE(c.judge(kind, result), "");
  }
}

TEST(Judge, RefusesTf32WhereFp32IsAsked) {
  const Judged c(DataKind::real, DType::f32, Precision::fp32);
  EXPECT_NE(c.judge(DataKind::real, perfect(c.problem, exact_result(c.problem, with_tf32_operands(c.data)))), "");
}

TEST(Judge, RefusesACaseWithoutVariety) {
  Judged c(DataKind::signed_integers, DType::f32, Precision::fp32);
  std::fill(c.exact.y.begin(), c.exact.y.end() - 8, 0.0);
  EXPECT_NE(c.judge(DataKind::signed_integers, perfect(c.problem, c.exact)).find("proves nothing"), std::string::npos);
}

TEST(Data, OfIntegersStaysExactInFloat) {
  for (const ProblemCase& c : edge_problems()) {
    if (!takes_integers(c.problem)) continue;
    const ExactResult exact = exact_result(c.problem, make_data(c.problem, DataKind::positive_integers, 1));
    const bool divides =
        std::holds_alternative<PoolProblem>(c.problem) || std::holds_alternative<AdaptivePoolProblem>(c.problem);
    for (const double value : exact.y) {
      if (divides) break;
      ASSERT_EQ(static_cast<double>(static_cast<float>(value)), value) << c.name;
    }
  }
}

}  // namespace
}  // namespace resnet::test
