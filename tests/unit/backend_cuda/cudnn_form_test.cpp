// What cuDNN's graphs are asked for, decided without cuDNN.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace resnet::cuda
