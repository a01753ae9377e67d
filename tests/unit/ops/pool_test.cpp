#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "op_runner.hpp"

namespace resnet::test {
namespace {

using Doubles = std::vector<double>;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

/// A pool over a row with a window of `kernel` positions.
OpCall pool(const char* op, std::vector<float> values, std::int64_t kernel, std::int64_t stride, AttrMap attrs = {}) {
  attrs["kernel"] = Ints{1, kernel};
  attrs["stride"] = Ints{1, stride};
  return {op, std::move(attrs), {row(std::move(values))}, {}};
}

AttrMap pads(std::int64_t left, std::int64_t right, AttrMap attrs = {}) {
  attrs["padding"] = std::string("explicit");
  attrs["pads"] = Ints{0, left, 0, right};
  return attrs;
}

AttrMap padding(const char* policy) { return {{"padding", std::string(policy)}}; }

TEST(MaxPool, TakesTheLargestOfEachWindow) {
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {1, 5, 2, 4, 3, 9}, 2, 2)).values, (Doubles{5, 4, 9}));
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {1, 5, 2, 4, 3}, 2, 2)).values, (Doubles{5, 4})) << "the rest is dropped";
}

TEST(MaxPool, PadsWithMinusInfinity) {
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {-1, -5, -2, -4}, 3, 2, pads(1, 1))).values, (Doubles{-1, -2}));
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {-infinity, -1}, 2, 1, pads(1, 0))).values, (Doubles{-infinity, -1}));
}

TEST(MaxPool, FollowsTheSamePolicies) {
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {1, 2, 3, 4}, 3, 2, padding("same"))).values, (Doubles{3, 4}));
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {1, 2, 3, 4}, 3, 2, padding("same_lower"))).values, (Doubles{2, 4}));
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {4, 3, 2, 1}, 3, 2, padding("same"))).values, (Doubles{4, 2}));
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {4, 3, 2, 1}, 3, 2, padding("same_lower"))).values, (Doubles{4, 3}));
}

TEST(MaxPool, PropagatesNaNFromAnyPlaceInTheWindow) {
  for (int place = 0; place < 3; ++place) {
    std::vector<float> values{1, 2, 3, 4};
    values[static_cast<std::size_t>(place)] = nan;
    const Doubles y = run_on_both_axes(pool("max_pool", values, 3, 1)).values;
    EXPECT_TRUE(std::isnan(y[0])) << place;
    EXPECT_EQ(std::isnan(y[1]), place > 0) << place;
  }
}

TEST(MaxPool, CeilModeKeepsAWindowThatStartsInsideTheInput) {
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {1, 5, 2, 4, 3}, 2, 2, {{"ceil_mode", true}})).values,
            (Doubles{5, 4, 3}));
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {7}, 2, 2, {{"ceil_mode", true}})).values, (Doubles{7}));
}

TEST(MaxPool, CeilModeDropsAWindowThatStartsInThePaddingAfter) {
  // ceil((5 + 1 - 2) / 3) + 1 = 3, but the third window would start at 6.
  EXPECT_EQ(run_on_both_axes(pool("max_pool", {1, 2, 3, 4, 5}, 2, 3, pads(0, 1, {{"ceil_mode", true}}))).values,
            (Doubles{2, 5}));
}

TEST(MaxPool, TreatsHeightAndWidthApart) {
  const OpResult y = run({"max_pool",
                          {{"kernel", Ints{2, 3}},
                           {"stride", Ints{2, 1}},
                           {"padding", std::string("explicit")},
                           {"pads", Ints{1, 0, 0, 2}}},
                          {counted({1, 3, 3, 2})},
                          {}});
  EXPECT_EQ(y.dims, (Dims{1, 2, 3, 2}));
  EXPECT_EQ(y.values, (Doubles{4, 5, 4, 5, 4, 5, 16, 17, 16, 17, 16, 17}));
}

TEST(AvgPool, DividesByTheValidCount) {
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {2, 4, 6, 9}, 2, 2)).values, (Doubles{3, 7.5}));
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {2, 4, 6, 9}, 2, 1, pads(1, 1))).values, (Doubles{2, 3, 5, 7.5, 9}));
}

TEST(AvgPool, DividesByTheWholeWindowWithCountIncludePad) {
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {2, 4, 6, 9}, 2, 1, pads(1, 1, {{"count_include_pad", true}}))).values,
            (Doubles{1, 3, 5, 7.5, 4.5}));
}

TEST(AvgPool, CeilModeDividesByWhatLiesInsideThePaddedInput) {
  const AttrMap ceil{{"ceil_mode", true}};
  AttrMap both = ceil;
  both["count_include_pad"] = true;
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {1, 5, 2, 4, 8}, 2, 2, ceil)).values, (Doubles{3, 3, 8}));
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {1, 5, 2, 4, 8}, 2, 2, both)).values, (Doubles{3, 3, 8}));
  // Windows at -1, 1 and 3; the last one covers 6, one pad and one position beyond the padded input.
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {3, 6, 9, 6}, 3, 2, pads(1, 1, ceil))).values, (Doubles{4.5, 7, 6}));
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {3, 6, 9, 6}, 3, 2, pads(1, 1, both))).values, (Doubles{3, 7, 3}));
}

TEST(AvgPool, SamePaddingDividesByTheValidCount) {
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {2, 4, 6, 8}, 3, 2, padding("same"))).values, (Doubles{4, 7}));
  EXPECT_EQ(run_on_both_axes(pool("avg_pool", {2, 4, 6, 8}, 3, 2, padding("same_lower"))).values, (Doubles{3, 6}));
}

TEST(AvgPool, PropagatesNaN) {
  const Doubles y = run_on_both_axes(pool("avg_pool", {1, nan, 2, 4}, 2, 2)).values;
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 3);
}

TEST(PoolProblem, HoldsTheResolvedWindow) {
  AttrMap attrs = pads(1, 2, {{"kernel", Ints{1, 3}}, {"stride", Ints{1, 2}}, {"count_include_pad", true}});
  attrs = complete_attrs(*find_op("avg_pool"), attrs, "layer");
  const Dims in{2, 1, 7, 5}, out{2, 1, 4, 5};
  const PoolProblem problem = pool_problem({"layer", &attrs, std::span(&in, 1), {}}, out, false);
  EXPECT_EQ(problem.W, 7);
  EXPECT_EQ(problem.S, 3);
  EXPECT_EQ(problem.Q, 4);
  EXPECT_EQ(problem.stride_w, 2);
  EXPECT_EQ(problem.pad_left, 1);
  EXPECT_EQ(problem.pad_right, 2);
  EXPECT_FALSE(problem.max);
  EXPECT_TRUE(problem.count_include_pad);
}

TEST(GlobalAvgPool, AveragesEveryChannelOfEveryImage) {
  const OpResult y = run({"global_avg_pool", {}, {counted({2, 1, 2, 3})}, {}});
  EXPECT_EQ(y.dims, (Dims{2, 1, 1, 3}));
  EXPECT_EQ(y.values, (Doubles{1.5, 2.5, 3.5, 7.5, 8.5, 9.5}));
}

TEST(AdaptiveAvgPool, UsesBinsThatMayOverlap) {
  // 5 -> 3: [0, 2), [1, 4), [3, 5)
  const OpCall call{"adaptive_avg_pool", {{"output", Ints{1, 3}}}, {row({1, 3, 5, 10, 20})}, {}};
  EXPECT_EQ(run_on_both_axes(call).values, (Doubles{2, 6, 15}));
}

TEST(AdaptiveAvgPool, RepeatsValuesWhenTheOutputIsLarger) {
  const OpCall call{"adaptive_avg_pool", {{"output", Ints{2, 3}}}, {row({1, 3})}, {}};
  EXPECT_EQ(run(call).values, (Doubles{1, 2, 3, 1, 2, 3}));
}

TEST(Pad, PutsZerosAround) {
  const OpResult y = run({"pad", {{"pads", Ints{1, 0, 0, 2}}}, {{{1, 1, 2, 1}, {5, 6}}}, {}});
  EXPECT_EQ(y.dims, (Dims{1, 2, 4, 1}));
  EXPECT_EQ(y.values, (Doubles{0, 0, 0, 0, 5, 6, 0, 0}));
}

TEST(Pad, ReflectsWithoutRepeatingTheBorder) {
  const AttrMap attrs{{"pads", Ints{0, 2, 0, 3}}, {"mode", std::string("reflect")}};
  EXPECT_EQ(run_on_both_axes({"pad", attrs, {row({1, 2, 3, 4})}, {}}).values, (Doubles{3, 2, 1, 2, 3, 4, 3, 2, 1}));
}

TEST(Pad, ReflectsBothAxes) {
  const AttrMap attrs{{"pads", Ints{1, 0, 1, 1}}, {"mode", std::string("reflect")}};
  EXPECT_EQ(run({"pad", attrs, {{{1, 2, 2, 1}, {1, 2, 3, 4}}}, {}}).values,
            (Doubles{3, 4, 3, 1, 2, 1, 3, 4, 3, 1, 2, 1}));
}

TEST(Flatten, KeepsNhwcOrderOrMakesItNchw) {
  const Tensor x = counted({2, 1, 2, 3});
  const OpResult nhwc = run({"flatten", {}, {x}, {}});
  EXPECT_EQ(nhwc.dims, (Dims{2, 1, 1, 6}));
  EXPECT_EQ(nhwc.values, (Doubles{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(run({"flatten", {{"order", std::string("nchw")}}, {x}, {}}).values,
            (Doubles{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}));
}

}  // namespace
}  // namespace resnet::test
