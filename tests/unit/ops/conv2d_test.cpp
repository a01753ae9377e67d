#include <gtest/gtest.h>

#include "op_runner.hpp"

namespace resnet::test {
namespace {

using Doubles = std::vector<double>;

/// A row through the kernel [1, 10, 100], so that the digits of each output show which inputs it saw.
OpCall digits(std::vector<float> values, AttrMap attrs) {
  return {"conv2d", std::move(attrs), {row(std::move(values))}, {{{1, 1, 3, 1}, {1, 10, 100}}}};
}

TEST(Conv2d, ValidPaddingSeesTheInputOnly) {
  EXPECT_EQ(run_on_both_axes(digits({1, 2, 3, 4, 5}, {})).values, (Doubles{321, 432, 543}));
}

TEST(Conv2d, StrideSkipsPositions) {
  EXPECT_EQ(run_on_both_axes(digits({1, 2, 3, 4, 5, 6}, {{"stride", Ints{1, 2}}})).values, (Doubles{321, 543}));
}

TEST(Conv2d, DilationSpreadsTheKernel) {
  EXPECT_EQ(run_on_both_axes(digits({1, 2, 3, 4, 5, 6}, {{"dilation", Ints{1, 2}}})).values, (Doubles{531, 642}));
}

TEST(Conv2d, SamePaddingKeepsTheSizeAtStride1) {
  EXPECT_EQ(run_on_both_axes(digits({1, 2, 3, 4, 5}, {{"padding", std::string("same")}})).values,
            (Doubles{210, 321, 432, 543, 54}));
}

TEST(Conv2d, SamePaddingOfAnOddInputIsSymmetricAtStride2) {
  for (const std::string policy : {"same", "same_lower"}) {
    EXPECT_EQ(run_on_both_axes(digits({1, 2, 3, 4, 5}, {{"stride", Ints{1, 2}}, {"padding", policy}})).values,
              (Doubles{210, 432, 54}));
  }
}

TEST(Conv2d, SamePaddingOfAnEvenInputPutsTheOddOneAfterAtStride2) {
  EXPECT_EQ(run_on_both_axes(digits({1, 2, 3, 4}, {{"stride", Ints{1, 2}}, {"padding", std::string("same")}})).values,
            (Doubles{321, 43}));
}

TEST(Conv2d, SameLowerPaddingOfAnEvenInputPutsTheOddOneBeforeAtStride2) {
  EXPECT_EQ(
      run_on_both_axes(digits({1, 2, 3, 4}, {{"stride", Ints{1, 2}}, {"padding", std::string("same_lower")}})).values,
      (Doubles{210, 432}));
}

TEST(Conv2d, ExplicitPaddingMayDifferOnEachSide) {
  EXPECT_EQ(
      run_on_both_axes(digits({1, 2, 3, 4}, {{"padding", std::string("explicit")}, {"pads", Ints{0, 2, 0, 1}}})).values,
      (Doubles{100, 210, 321, 432, 43}));
  // rows 0 0 0 0 / 1 2 0 0 / 3 4 0 0
  const OpResult y = run({"conv2d",
                          {{"padding", std::string("explicit")}, {"pads", Ints{1, 0, 0, 2}}},
                          {{{1, 2, 2, 1}, {1, 2, 3, 4}}},
                          {{{1, 2, 2, 1}, {1, 10, 100, 1000}}}});
  EXPECT_EQ(y.dims, (Dims{1, 2, 3, 1}));
  EXPECT_EQ(y.values, (Doubles{2100, 200, 0, 4321, 402, 0}));
}

TEST(Conv2d, SumsOverChannelsAndAddsTheBias) {
  const OpCall call{"conv2d", {}, {{{1, 1, 1, 2}, {1, 2}}}, {{{2, 1, 1, 2}, {1, 10, 100, 1000}}, {{2}, {5, -5}}}};
  EXPECT_EQ(run(call).values, (Doubles{26, 2095}));
}

TEST(Conv2d, GroupsSeeTheirOwnChannels) {
  const OpCall call{"conv2d",
                    {{"groups", std::int64_t{2}}},
                    {{{1, 1, 1, 4}, {1, 2, 3, 4}}},
                    {{{4, 1, 1, 2}, {1, 10, 2, 20, 1, 10, 3, 30}}}};
  EXPECT_EQ(run(call).values, (Doubles{21, 42, 43, 129}));
}

TEST(Conv2d, DepthwiseWithMultiplierTwo) {
  const OpCall call{
      "conv2d", {{"groups", std::int64_t{2}}}, {{{1, 1, 1, 2}, {3, 5}}}, {{{4, 1, 1, 1}, {1, 2, 10, 20}}}};
  EXPECT_EQ(run(call).values, (Doubles{3, 6, 50, 100}));
}

TEST(Conv2d, ReadsTheWeightAsKRSC) {
  // x[h][w][c] = position code; w picks exactly (r, s, c) = (1, 0, 1).
  std::vector<float> weight(2 * 2 * 3, 0.0F);
  weight[(1 * 2 + 0) * 3 + 1] = 1;
  const OpResult y = run({"conv2d", {}, {counted({1, 3, 3, 3})}, {{{1, 2, 2, 3}, weight}}});
  EXPECT_EQ(y.values, (Doubles{10, 13, 19, 22}));
}

TEST(Conv2d, KeepsImagesApart) {
  const OpResult y = run({"conv2d", {}, {{{2, 1, 2, 1}, {1, 2, 3, 4}}}, {{{1, 1, 2, 1}, {1, 10}}}});
  EXPECT_EQ(y.dims, (Dims{2, 1, 1, 1}));
  EXPECT_EQ(y.values, (Doubles{21, 43}));
}

TEST(Conv2d, SumsManyChannelsInFullWidthAndRemainder) {
  for (const std::int64_t C : {1, 7, 8, 9, 16, 19}) {
    std::vector<float> ones(static_cast<std::size_t>(C), 1.0F);
    const double expected = static_cast<double>(C * (C - 1)) / 2;
    EXPECT_EQ(run({"conv2d", {}, {counted({1, 1, 1, C})}, {{{1, 1, 1, C}, ones}}}).values, (Doubles{expected})) << C;
  }
}

TEST(Conv2d, CountsMacsPerGroup) {
  const AttrMap attrs = complete_attrs(*find_op("conv2d"), {{"groups", std::int64_t{2}}}, "layer");
  const TensorShape weight{6, 3, 3, 2};
  const TensorShape* weights[] = {&weight, nullptr};
  const Dims in{2, 5, 5, 4}, out{2, 3, 3, 6};
  const OpShapes shapes{"layer", &attrs, std::span(&in, 1), weights};
  EXPECT_EQ(find_op("conv2d")->macs(shapes, out), 2 * 3 * 3 * 6 * 9 * 2);
  EXPECT_EQ(conv_problem(shapes, out).macs(), 2 * 3 * 3 * 6 * 9 * 2);
}

TEST(Conv2d, ProblemHoldsTheResolvedPadding) {
  const AttrMap attrs =
      complete_attrs(*find_op("conv2d"), {{"padding", std::string("same")}, {"stride", Ints{2, 2}}}, "layer");
  const TensorShape weight{64, 7, 7, 3};
  const TensorShape* weights[] = {&weight, nullptr};
  const Dims in{1, 224, 225, 3}, out{1, 112, 113, 64};
  const ConvProblem problem = conv_problem({"layer", &attrs, std::span(&in, 1), weights}, out);
  EXPECT_EQ(problem.pad_top, 2);
  EXPECT_EQ(problem.pad_bottom, 3);
  EXPECT_EQ(problem.pad_left, 3);
  EXPECT_EQ(problem.pad_right, 3);
  EXPECT_EQ(problem.R, 7);
  EXPECT_EQ(problem.P, 112);
  EXPECT_EQ(problem.Q, 113);
  EXPECT_EQ(problem.K, 64);
}

TEST(Dense, MultipliesRowsAndAddsTheBias) {
  const OpCall call{
      "dense", {}, {{{2, 1, 1, 2}, {1, 2, 3, 4}}}, {{{3, 2}, {1, 10, 2, 20, 3, 30}}, {{3}, {0, 0, 1000}}}};
  const OpResult y = run(call);
  EXPECT_EQ(y.dims, (Dims{2, 1, 1, 3}));
  EXPECT_EQ(y.values, (Doubles{21, 42, 1063, 43, 86, 1129}));
}

TEST(Dense, NchwColumnsEqualAFlattenInThatOrder) {
  const Tensor image = counted({1, 2, 3, 4});
  Weight weight{{2, 24}, {}};
  for (int i = 0; i < 48; ++i) weight.values.push_back(static_cast<float>((i * 7) % 11 - 5));
  const OpResult flat = run({"flatten", {{"order", std::string("nchw")}}, {image}, {}});
  const Tensor features{flat.dims, std::vector<float>(flat.values.begin(), flat.values.end())};
  const Doubles expected = run({"dense", {}, {features}, {weight}}).values;

  const Tensor as_it_lies{{1, 1, 1, 24}, image.values};
  const AttrMap nchw{{"input_order", std::string("nchw")}, {"input_channels", std::int64_t{4}}};
  EXPECT_EQ(run({"dense", nchw, {as_it_lies}, {weight}}).values, expected);
  EXPECT_NE(run({"dense", {}, {as_it_lies}, {weight}}).values, expected) << "the order must matter here";
}

OpCall along_channels(std::vector<float> values, std::vector<float> weight) {
  const auto C = static_cast<std::int64_t>(values.size()), k = static_cast<std::int64_t>(weight.size());
  return {"channel_conv1d", {}, {{{1, 1, 1, C}, std::move(values)}}, {{{k}, std::move(weight)}}};
}

TEST(ChannelConv1d, SlidesAlongTheChannelsAndPadsThemWithZeros) {
  EXPECT_EQ(run(along_channels({1, 2, 3, 4}, {1, 10, 100})).values, (Doubles{210, 321, 432, 43}));
  EXPECT_EQ(run(along_channels({1, 2}, {1, 10, 100, 1000, 10000})).values, (Doubles{2100, 210}));
  EXPECT_EQ(run(along_channels({1, 2, 3}, {2})).values, (Doubles{2, 4, 6}));
}

TEST(ChannelConv1d, KeepsImagesApart) {
  const OpCall call{"channel_conv1d", {}, {{{2, 1, 1, 2}, {1, 2, 3, 4}}}, {{{3}, {1, 10, 100}}}};
  EXPECT_EQ(run(call).values, (Doubles{210, 21, 430, 43}));
}

}  // namespace
}  // namespace resnet::test
