#include "kernels/oracle.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/numbers.hpp"
#include "ops/reference.hpp"
#include "support/problems.hpp"

/// The reference itself: values worked out by hand, and the ops' own loops.
namespace resnet::test {
namespace {

using Doubles = std::vector<double>;
using Ints = std::vector<std::int64_t>;

Doubles run(const kernels::Problem& problem, const HostData& data) { return exact_result(problem, data).y; }

TEST(Oracle, ConvolvesATwoByTwoImage) {
  // x = 1 2 / 3 4, filter 3x3 of 1 ... 9, pad 1: y[0] = 1*5 + 2*6 + 3*8 + 4*9.
  ConvProblem p = make_conv({.H = 2, .W = 2, .R = 3, .S = 3, .pads = {1, 1, 1, 1}});
  const HostData data{{1, 2, 3, 4}, {}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {}, {}};
  EXPECT_EQ(run(p, data), (Doubles{77, 67, 47, 37}));
}

TEST(Oracle, AppliesTheEpilogueInOrder) {
  ConvProblem p = make_conv({.K = 2});
  p.epilogue.scale = p.epilogue.shift = p.epilogue.residual = true;
  p.epilogue.activation.kind = ActivationKind::relu6;
  p.epilogue.res_scale = 0.5f, p.epilogue.out_scale = 10, p.epilogue.zero_point = 1;
  // k = 0: 3 * 2 = 6, * 0.5 - 1 + 4 * 0.5 = 4, * 10 + 1. k = 1: 3 * -1 = -3, * 2 + 1 + 2 * 0.5 = -4 -> 0 -> 1.
  const HostData data{{3}, {4, 2}, {2, -1}, {0.5f, 2}, {-1, 1}};
  EXPECT_EQ(run(p, data), (Doubles{41, 1}));
}

TEST(Oracle, KeepsGroupsApart) {
  ConvProblem p = make_conv({.C = 4, .K = 2, .groups = 2});
  const HostData data{{1, 10, 100, 1000}, {}, {1, 2, 3, 4}, {}, {}};
  EXPECT_EQ(run(p, data), (Doubles{21, 4300}));
}

TEST(Oracle, StridesAndDilates) {
  ConvProblem p = make_conv({.H = 1, .W = 6, .S = 2, .stride_w = 2, .dilation_w = 3});
  ASSERT_EQ(p.Q, 2);
  const HostData data{{1, 2, 3, 4, 5, 6}, {}, {1, 10}, {}, {}};
  EXPECT_EQ(run(p, data), (Doubles{41, 63}));
}

TEST(Oracle, AveragesWithAndWithoutPads) {
  PoolProblem p;
  p.N = p.H = p.C = 1, p.W = 3, p.R = 1, p.S = 2, p.P = 1, p.Q = 3, p.stride_w = 2, p.pad_left = 1, p.pad_right = 1;
  p.max = false;
  // Windows: (pad, 1), (2, 3), and with ceil mode (pad, beyond).
  p.Q = 2;
  EXPECT_EQ(run(p, {{1, 2, 3}, {}, {}, {}, {}}), (Doubles{1, 2.5}));
  p.count_include_pad = true;
  EXPECT_EQ(run(p, {{1, 2, 3}, {}, {}, {}, {}}), (Doubles{0.5, 2.5}));
}

TEST(Oracle, PoolsTheLargestAndKeepsNaN) {
  PoolProblem p;
  p.N = p.H = p.C = 1, p.W = 4, p.R = 1, p.S = 2, p.P = 1, p.Q = 2, p.stride_w = 2;
  const Doubles y = run(p, {{-3, -2, NAN, 5}, {}, {}, {}, {}});
  EXPECT_EQ(y[0], -2);
  EXPECT_TRUE(std::isnan(y[1]));
}

TEST(Oracle, SplitsBinsAsAdaptivePoolingDoes) {
  // 5 -> 2: bins [0, 3) and [2, 5).
  EXPECT_EQ(run(AdaptivePoolProblem{1, 1, 5, 1, 1, 2}, {{1, 2, 3, 4, 8}, {}, {}, {}, {}}), (Doubles{2, 5}));
}

TEST(Oracle, MirrorsWithoutTheEdge) {
  PadProblem p;
  p.N = p.H = p.C = 1, p.W = 3, p.pad_left = 2, p.pad_right = 1, p.reflect = true;
  EXPECT_EQ(run(p, {{1, 2, 3}, {}, {}, {}, {}}), (Doubles{3, 2, 1, 2, 3, 2}));
}

TEST(Oracle, ScalesChannelsOfEachImage) {
  PointwiseProblem p;
  p.kind = PointwiseKind::multiply_channels, p.N = 2, p.positions_per_image = 2, p.C = 2;
  EXPECT_EQ(run(p, {{1, 2, 3, 4, 5, 6, 7, 8}, {1, 10, 2, 20}, {}, {}, {}}), (Doubles{1, 20, 3, 40, 10, 120, 14, 160}));
}

TEST(Oracle, OrdersTheLargestWithLowerIndexFirst) {
  const ExactResult top = exact_result(TopKProblem{1, 5, 4}, HostData{{2, NAN, 7, 2, 7}, {}, {}, {}, {}});
  EXPECT_EQ(top.y, (Doubles{7, 7, 2, 2}));
  EXPECT_EQ(top.indices, (std::vector<std::int32_t>{2, 4, 0, 3}));
}

TEST(Oracle, GivesProbabilities) {
  const Doubles y = run(SoftmaxProblem{1, 2}, {{1000, 1000 + std::log(3.0f)}, {}, {}, {}, {}});
  EXPECT_NEAR(y[0], 0.25, 1e-4);
  EXPECT_NEAR(y[1], 0.75, 1e-4);
}

TEST(Oracle, TurnsLayoutsAndPadsChannels) {
  ConvertProblem p;
  p.in.dims = p.out.dims = {1, 1, 2, 3};
  p.in.layout = LayoutId::nchw, p.out.c_padded = 4;
  EXPECT_EQ(run(p, {{1, 2, 3, 4, 5, 6}, {}, {}, {}, {}}), (Doubles{1, 3, 5, 0, 2, 4, 6, 0}));
}

TEST(Oracle, AgreesWithTheReferenceLoopOfConv2d) {
  const ConvProblem p = make_conv({.N = 2,
                                   .H = 9,
                                   .W = 8,
                                   .C = 6,
                                   .K = 4,
                                   .R = 3,
                                   .S = 2,
                                   .stride_h = 2,
                                   .pads = {1, 0, 2, 1},
                                   .dilation_w = 2,
                                   .groups = 2});
  const HostData data = make_data(p, DataKind::real, 7);
  const AttrMap attrs = complete_attrs(*find_op("conv2d"),
                                       {{"stride", Ints{2, 1}},
                                        {"padding", std::string("explicit")},
                                        {"pads", Ints{1, 0, 2, 1}},
                                        {"dilation", Ints{1, 2}},
                                        {"groups", std::int64_t{2}}},
                                       "y");
  const Dims in{p.N, p.H, p.W, p.C};
  const TensorShape shape{p.K, p.R, p.S, p.C / p.groups};
  const TensorShape* const shapes[] = {&shape, nullptr};
  const float* const inputs[] = {data.x.data()};
  const float* const weights[] = {data.weight.data(), nullptr};
  Doubles expected(static_cast<std::size_t>(p.N * p.P * p.Q * p.K));
  ReferenceArgs<double> args;
  args.attrs = &attrs, args.inputs = inputs, args.input_dims = {&in, 1}, args.weights = weights;
  args.weight_shapes = shapes, args.output = expected.data(), args.output_dims = {p.N, p.P, p.Q, p.K};
  run_reference_node(*find_op("conv2d"), args, {});
  const Doubles got = run(p, data);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << "element " << i;
}

TEST(Numbers, RoundToTf32WithTiesAwayFromZero) {
  constexpr float last_place = 1.0f / 1024;
  EXPECT_EQ(rounded_to_tf32(1 + last_place / 2), 1 + last_place);
  EXPECT_EQ(rounded_to_tf32(-1 - last_place / 2), -1 - last_place);
  EXPECT_EQ(rounded_to_tf32(1 + last_place / 4), 1.0f);
}

}  // namespace
}  // namespace resnet::test
