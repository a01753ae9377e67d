// What the libraries are asked for, decided without them.
#include <gtest/gtest.h>

#include "backends/cuda/cublaslt_plan.hpp"
#include "backends/cuda/cudnn_plan.hpp"

namespace resnet::cuda {
namespace {

ConvProblem a_layer() {
  ConvProblem problem;
  problem.N = problem.R = problem.S = 1, problem.H = problem.W = problem.P = problem.Q = 7;
  problem.C = problem.K = 64;
  problem.in = problem.out = DType::f16;
  problem.epilogue.scale = problem.epilogue.shift = problem.epilogue.residual = true;
  problem.epilogue.activation.kind = ActivationKind::relu;
  return problem;
}

TEST(CudnnForm, TakesAResNetsLayer) { EXPECT_EQ(cudnn_can_express(a_layer()).reason, ""); }

TEST(CudnnForm, RefusesWhatNoGraphSays) {
  const auto reason = [](auto change) {
    ConvProblem problem = a_layer();
    change(problem);
    return cudnn_can_express(problem).reason;
  };
  EXPECT_EQ(reason([](ConvProblem& p) { p.epilogue.activation.kind = ActivationKind::silu; }),
            "activation silu (only relu)");
  EXPECT_EQ(reason([](ConvProblem& p) { p.out = DType::f32; }),
            "input and output must be of one type, are f16 and f32");
  EXPECT_EQ(reason([](ConvProblem& p) { p.in = p.out = DType::u8; }), "u8 is not written for cuDNN");
  EXPECT_EQ(reason([](ConvProblem& p) { p.epilogue.res_scale = 0.5f; }), "a scaled residual");
  EXPECT_EQ(reason([](ConvProblem& p) { p.epilogue.zero_point = 3; }), "a quantised output");
  EXPECT_EQ(reason([](ConvProblem& p) { p.N = 1 << 20; }), "a tensor of 3288334336 elements (at most 2^31 - 1)");
}

TEST(CudnnForm, ReadsAShiftBesideAResidualBecauseNoEngineMatchesOneAlone) {
  ConvProblem problem = a_layer();
  problem.epilogue.shift = false;
  EXPECT_TRUE(cudnn_reads_shift(problem, CudnnForm::folded));
  EXPECT_FALSE(cudnn_reads_shift(problem, CudnnForm::exact));
  problem.epilogue.residual = false;
  EXPECT_FALSE(cudnn_reads_shift(problem, CudnnForm::folded));
}

TEST(CublasltRules, TakeAClassifiersLastLayer) {
  DenseProblem problem;
  problem.N = 8, problem.C = 2048, problem.K = 1000;
  problem.epilogue.shift = true;
  problem.in = DType::f16;
  EXPECT_EQ(cublaslt_can_express(problem).reason, "");
  problem.out = DType::f16;
  EXPECT_EQ(cublaslt_can_express(problem).reason, "");
}

TEST(CublasltRules, RefuseWhatNoProductSays) {
  const auto reason = [](auto change) {
    DenseProblem problem;
    problem.N = problem.C = problem.K = 8;
    change(problem);
    return cublaslt_can_express(problem).reason;
  };
  EXPECT_EQ(reason([](DenseProblem& p) { p.epilogue.residual = true; }), "a residual");
  EXPECT_EQ(reason([](DenseProblem& p) { p.epilogue.activation.kind = ActivationKind::sigmoid; }),
            "activation sigmoid (only relu)");
  EXPECT_EQ(reason([](DenseProblem& p) { p.out = DType::bf16; }),
            "the output must be of the input's type or f32, is bf16");
  EXPECT_EQ(reason([](DenseProblem& p) { p.in = DType::u8; }), "u8 is not written for cuBLASLt");
  EXPECT_EQ(reason([](DenseProblem& p) { p.N = std::int64_t{1} << 29; }),
            "a tensor of 4294967296 elements (at most 2^31 - 1)");
}

}  // namespace
}  // namespace resnet::cuda
