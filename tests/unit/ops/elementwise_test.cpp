#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "op_runner.hpp"

namespace resnet::test {
namespace {

using Doubles = std::vector<double>;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

Doubles apply(const char* op, std::vector<float> values, AttrMap attrs = {}) {
  return run({op, std::move(attrs), {row(std::move(values))}, {}}).values;
}

TEST(Activations, FollowTheirDefinitions) {
  EXPECT_EQ(apply("relu", {-2, 0, 3, infinity, -infinity}), (Doubles{0, 0, 3, infinity, 0}));
  EXPECT_EQ(apply("relu6", {-2, 3, 6, 7, infinity}), (Doubles{0, 3, 6, 6, 6}));
  EXPECT_EQ(apply("leaky_relu", {-2, 0, 3}, {{"alpha", 0.25}}), (Doubles{-0.5, 0, 3}));
  EXPECT_EQ(apply("hard_sigmoid", {-3, -2, 0, 1, 2, 9}, {{"alpha", 0.25}, {"beta", 0.5}}),
            (Doubles{0, 0, 0.5, 0.75, 1, 1}));
  const Doubles sigmoid = apply("sigmoid", {0, 2, -2, infinity, -infinity});
  EXPECT_DOUBLE_EQ(sigmoid[0], 0.5);
  EXPECT_DOUBLE_EQ(sigmoid[1], 0.88079707797788243);
  EXPECT_DOUBLE_EQ(sigmoid[2], 0.11920292202211757);
  EXPECT_EQ(sigmoid[3], 1);
  EXPECT_EQ(sigmoid[4], 0);
  const Doubles silu = apply("silu", {0, 2, -2});
  EXPECT_EQ(silu[0], 0);
  EXPECT_DOUBLE_EQ(silu[1], 1.7615941559557649);
  EXPECT_DOUBLE_EQ(silu[2], -0.23840584404423514);
}

TEST(Activations, LeaveNaNAsItIs) {
  for (const char* op : {"relu", "relu6", "leaky_relu", "sigmoid", "hard_sigmoid", "silu"}) {
    EXPECT_TRUE(std::isnan(apply(op, {nan})[0])) << op;
  }
}

TEST(Activations, AreTheSameInAnEpilogue) {
  const std::vector<float> values{-7, -1.5, -0.25, 0, 0.25, 2, 5, 8};
  for (const char* name : {"relu", "relu6", "leaky_relu", "sigmoid", "hard_sigmoid", "silu"}) {
    const OpDef& op = *find_op(name);
    const Activation activation = activation_of(op, complete_attrs(op, {}, "layer")).value();
    EXPECT_EQ(to_string(activation.kind), name);
    EXPECT_EQ(run({"identity", {}, {row(values)}, {}}, activation).values, apply(name, values)) << name;
  }
}

TEST(Activations, AreRecognised) {
  const AttrMap attrs = complete_attrs(*find_op("hard_sigmoid"), {{"alpha", 0.25}, {"beta", std::int64_t{1}}}, "layer");
  EXPECT_EQ(activation_of(*find_op("hard_sigmoid"), attrs), (Activation{ActivationKind::hard_sigmoid, 0.25F, 1.0F}));
  EXPECT_EQ(activation_of(*find_op("relu"), {}), (Activation{ActivationKind::relu, 0, 0}));
  EXPECT_EQ(activation_of(*find_op("softmax"), {}), std::nullopt);
}

TEST(BatchNorm, NormalisesEachChannel) {
  // sqrt(var + eps) = 2, 4
  const OpCall call{"batch_norm",
                    {{"eps", 0.5}},
                    {{{1, 1, 2, 2}, {5, 9, 1, 1}}},
                    {{{2}, {3, -1}}, {{2}, {10, 20}}, {{2}, {1, 1}}, {{2}, {3.5, 15.5}}}};
  EXPECT_EQ(run(call).values, (Doubles{16, 18, 10, 20}));
}

TEST(BatchNorm, NeedsNoGammaAndNoBeta) {
  const OpCall call{
      "batch_norm", {{"eps", 0.5}}, {{{1, 1, 1, 2}, {5, 9}}}, {{}, {}, {{2}, {1, 1}}, {{2}, {3.5, 15.5}}}};
  EXPECT_EQ(run(call).values, (Doubles{2, 2}));
}

TEST(Add, AddsValuesOfOneSize) {
  EXPECT_EQ(run({"add", {}, {row({1, 2}), row({10, 20})}, {}}).values, (Doubles{11, 22}));
}

TEST(Mul, ScalesTheChannelsOfEachImage) {
  const OpCall call{"mul", {}, {counted({2, 1, 2, 2}), {{2, 1, 1, 2}, {1, 10, 2, 20}}}, {}};
  EXPECT_EQ(run(call).values, (Doubles{0, 10, 2, 30, 8, 100, 12, 140}));
}

TEST(Mul, MultipliesValuesOfOneSize) {
  EXPECT_EQ(run({"mul", {}, {row({1, 2, 3}), row({4, 5, 6})}, {}}).values, (Doubles{4, 10, 18}));
}

TEST(Softmax, SumsToOneAtEveryPosition) {
  const Doubles y = run({"softmax", {}, {{{1, 1, 2, 2}, {0, 0, std::log(3.0F), 0}}}, {}}).values;
  EXPECT_EQ(y[0], 0.5);
  EXPECT_EQ(y[1], 0.5);
  EXPECT_NEAR(y[2], 0.75, 1e-7);
  EXPECT_NEAR(y[3], 0.25, 1e-7);
}

TEST(Softmax, DoesNotOverflow) {
  EXPECT_EQ(run({"softmax", {}, {{{1, 1, 1, 2}, {1e30F, 1e30F}}}, {}}).values, (Doubles{0.5, 0.5}));
  EXPECT_EQ(run({"softmax", {}, {{{1, 1, 1, 2}, {-1e30F, 1e30F}}}, {}}).values, (Doubles{0, 1}));
}

TEST(Softmax, PropagatesNaN) {
  for (const double value : run({"softmax", {}, {{{1, 1, 1, 3}, {1, nan, 2}}}, {}}).values)
    EXPECT_TRUE(std::isnan(value));
}

TEST(Epilogue, AppliesScaleShiftResidualAndActivationInThisOrder) {
  const AttrMap attrs;
  const Dims dims{1, 1, 2, 2};
  const std::vector<float> x{1, 2, 3, 4}, residual{100, -200, 300, -400}, scale{2, 10}, shift{1, -1};
  const float* input = x.data();
  std::vector<float> y(4);
  run_reference_node(
      *find_op("identity"),
      ReferenceArgs<float>{&attrs, std::span(&input, 1), std::span(&dims, 1), {}, {}, y.data(), dims},
      ReferenceEpilogue<float>{scale.data(), shift.data(), residual.data(), {ActivationKind::relu, 0, 0}});
  EXPECT_EQ(y, (std::vector<float>{103, 0, 307, 0}));
}

}  // namespace
}  // namespace resnet::test
