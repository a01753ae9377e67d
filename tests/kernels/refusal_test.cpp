#include <gtest/gtest.h>

#include "kernels/environment.hpp"
#include "support/problems.hpp"

/// What a kernel cannot do it refuses, and says why.
namespace resnet::test {
namespace {

struct Refusal {
  std::string kernel;
  kernels::Problem problem;
  std::string words;  ///< of the reason
  int sm = 90;
};

template <class P>
P changed(P problem, const auto& change) {
  change(problem);
  return problem;
}

DenseProblem dense_of(std::int64_t N, std::int64_t C, std::int64_t K) {
  DenseProblem p;
  p.N = N, p.C = C, p.K = K;
  return p;
}

kernels::Problem typed(const kernels::Problem& problem, DType type, Precision precision) {
  return with_types(problem, {type, type, precision});
}

std::vector<Refusal> convolutions() {
  using enum DType;
  const ConvProblem c3 = make_conv({.H = 8, .W = 8, .C = 64, .K = 64, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
  const ConvProblem stem =
      make_conv({.H = 8, .W = 8, .C = 3, .K = 64, .R = 7, .S = 7, .stride_h = 2, .stride_w = 2, .pads = {3, 3, 3, 3}});
  const ConvProblem grouped =
      make_conv({.H = 8, .W = 8, .C = 64, .K = 64, .R = 3, .S = 3, .pads = {1, 1, 1, 1}, .groups = 4});
  const auto bf = [](const ConvProblem& p) { return typed(p, bf16, Precision::bf16); };
  const auto with_c = [](ConvProblem p, std::int64_t C) { return p.C = C, p; };
  return {
      {"conv_mma", c3, "fp32"},
      {"conv_mma", bf(grouped), "groups must be 1, is 4"},
      {"conv_mma", bf(with_c(c3, 65)), "C must be a multiple of 8, is 65"},
      {"conv_mma", typed(with_c(c3, 66), f32, Precision::tf32), "C must be a multiple of 4, is 66"},
      {"conv_mma", bf(c3), "needs sm_80", 75},
      {"conv_mma", typed(c3, f32, Precision::tf32), "needs sm_80", 75},
      {"conv_mma", typed(c3, f16, Precision::int8), "int8"},
      {"conv_mma", bf(changed(c3, [](ConvProblem& p) { p.N = std::int64_t{1} << 32; })), "below 2^31"},
      {"conv_stem", stem, "fp32"},
      {"conv_stem", bf(with_c(stem, 4)), "C must be 3"},
      {"conv_stem", bf(changed(stem, [](ConvProblem& p) { p.stride_h = 1, p.P = 8; })), "stride must be 2"},
      {"conv_stem", bf(changed(stem, [](ConvProblem& p) { p.R = 5, p.P = 5; })), "7x7 or 3x3"},
      {"conv_stem", bf(changed(stem, [](ConvProblem& p) { p.dilation_w = 2, p.Q = 1; })), "dilation must be 1"},
      {"conv_grouped_mma", bf(changed(c3, [](ConvProblem& p) { p.C = p.K = 128; })), "groups must be at least 2"},
      {"conv_grouped_mma", grouped, "fp32"},
      {"conv_grouped_mma", bf(changed(grouped, [](ConvProblem& p) { p.K = 32; })), "C and K must be equal"},
      {"conv_grouped_mma", bf(changed(grouped, [](ConvProblem& p) { p.C = p.K = 48; })),
       "width of a group must divide"},
      {"conv_grouped_mma", bf(changed(grouped, [](ConvProblem& p) { p.C = p.K = 4; })), "C must be a multiple of 8"},
      {"conv_grouped_mma", bf(grouped), "needs sm_80", 75},
      {"conv_depthwise", c3, "groups must be C = 64, is 1"},
      {"conv_depthwise", typed(changed(c3, [](ConvProblem& p) { p.groups = 64; }), f32, Precision::fp8), "fp8"},
      {"conv_grouped", c3, "groups must be at least 2"},
      {"conv_grouped", changed(grouped, [](ConvProblem& p) { p.C = 24; }), "C / groups must be a multiple of 4, is 6"},
      {"conv_grouped", changed(grouped, [](ConvProblem& p) { p.K = 24; }), "K / groups must be a multiple of 4, is 6"},
      {"conv_grouped", changed(grouped, [](ConvProblem& p) { p.K = 272; }), "K / groups must be at most 64, is 68"},
      {"conv_direct", typed(c3, i8, Precision::int8), "f32, f16 or bf16"},
      {"conv_direct", typed(c3, f32, Precision::int8), "int8"},
      {"conv_direct", dense_of(1, 8, 8), "another kind of problem"},
  };
}

std::vector<Refusal> others() {
  using enum DType;
  const DenseProblem dense = dense_of(4, 64, 64);
  PoolDenseProblem both;
  both.N = 1, both.H = both.W = 7, both.C = 64, both.K = 10;
  PointwiseProblem pointwise;
  pointwise.N = 1, pointwise.positions_per_image = 4, pointwise.C = 8;
  PadProblem pad;
  pad.N = 1, pad.H = pad.W = 4, pad.C = 8, pad.pad_left = 4, pad.reflect = true;
  ConvertProblem convert;
  convert.in.dims = convert.out.dims = {1, 4, 4, 8};
  PoolProblem pool;
  pool.N = 1, pool.H = pool.W = 4, pool.C = 8, pool.R = pool.S = pool.P = pool.Q = 2;
  pool.stride_h = pool.stride_w = 2, pool.dtype = i8;
  return {
      {"dense_mma", dense, "fp32"},
      {"dense_mma", typed(dense_of(4, 63, 64), f16, Precision::fp16), "C must be a multiple of 8, is 63"},
      {"dense_direct", typed(dense, f32, Precision::int8), "int8"},
      {"dense_direct", make_conv({.C = 8, .K = 8}), "another kind of problem"},
      {"pool_dense", changed(both, [](PoolDenseProblem& p) { p.N = 9; }), "N must be at most 8, is 9"},
      {"pool_dense", changed(both, [](PoolDenseProblem& p) { p.C = 10000; }), "C must be at most 8192, is 10000"},
      {"pointwise", changed(pointwise, [](PointwiseProblem& p) { p.epilogue.residual = true; }), "residual"},
      {"pointwise", changed(pointwise, [](PointwiseProblem& p) { p.in = i8; }), "is i8"},
      {"pad", pad, "mirrored borders must be smaller than the input"},
      {"pad", changed(pad, [](PadProblem& p) { p.dtype = i8, p.reflect = false; }), "is i8"},
      {"pool", pool, "is i8"},
      {"adaptive_pool", AdaptivePoolProblem{1, 4, 4, 8, 1, 1, i8, f32}, "is i8"},
      {"softmax", SoftmaxProblem{1, 8, i8, f32}, "is i8"},
      {"top_k", TopKProblem{1, 8, 9}, "k must be 1 to C = 8, is 9"},
      {"convert", changed(convert, [](ConvertProblem& p) { p.out.dims.h = 5; }), "same sizes"},
      {"convert", changed(convert, [](ConvertProblem& p) { p.in.dtype = i8; }), "is i8"},
      {"convert", changed(convert, [](ConvertProblem& p) { p.out.layout = LayoutId::first_opaque; }), "NHWC or NCHW"},
      {"convert", changed(convert, [](ConvertProblem& p) { p.in.scale = 2; }), "quantised"},
  };
}

void expect_refused(const Refusal& refusal) {
  const kernels::Kernel* const kernel = kernels::find_kernel(refusal.kernel);
  ASSERT_TRUE(kernel) << "no kernel is called " << refusal.kernel;
  DeviceInfo device = devices().front();
  device.sm = refusal.sm;
  const Support support = kernel->supports(refusal.problem, device);
  EXPECT_FALSE(support) << refusal.kernel << " takes " << kernels::to_string(refusal.problem);
  EXPECT_NE(support.reason.find(refusal.words), std::string::npos)
      << refusal.kernel << " refuses " << kernels::to_string(refusal.problem) << " because \"" << support.reason
      << "\", expected \"" << refusal.words << "\" in it";
}

TEST(Refusals, OfConvolutionsSayWhy) {
  for (const Refusal& refusal : convolutions()) expect_refused(refusal);
}

TEST(Refusals, OfOtherKernelsSayWhy) {
  for (const Refusal& refusal : others()) expect_refused(refusal);
}

TEST(Refusals, AreTestedForEveryKernelThatTakesNotEverything) {
  std::vector<Refusal> all = convolutions();
  for (const Refusal& refusal : others()) all.push_back(refusal);
  for (const kernels::Kernel* kernel : kernels::catalog()) {
    const bool listed =
        std::any_of(all.begin(), all.end(), [&](const Refusal& refusal) { return refusal.kernel == kernel->name; });
    EXPECT_TRUE(listed) << "add a line for " << kernel->name << " to refusal_test.cpp";
  }
}

}  // namespace
}  // namespace resnet::test
