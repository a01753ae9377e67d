#include "verify/difference.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace resnet::tools {
namespace {

Difference between(const std::vector<float>& got, const std::vector<float>& expected) {
  Difference difference;
  difference.add(got, expected);
  return difference;
}

TEST(Difference, IsOfEverythingThatWasAdded) {
  Difference d = between({3, 0}, {3, 4});
  d.add(std::vector<float>{1}, std::vector<float>{0});
  EXPECT_EQ(d.elements(), 3);
  EXPECT_DOUBLE_EQ(d.max_abs(), 4);
  EXPECT_DOUBLE_EQ(d.relative_l2(), std::sqrt(17.0) / 5);
  EXPECT_DOUBLE_EQ(d.cosine(), 9 / (std::sqrt(10.0) * 5));
  EXPECT_TRUE(d.within(0.83));
  EXPECT_FALSE(d.within(0.82));
}

TEST(Difference, OfNaNIsWithinNothing) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const Difference d = between({nan, 1, inf}, {0, nan, inf});
  EXPECT_EQ(d.not_finite(), 2);
  EXPECT_EQ(d.expected_not_finite(), 2);
  EXPECT_TRUE(std::isnan(d.relative_l2()));
  EXPECT_FALSE(d.within(1e30));
}

TEST(Difference, KnowsZeros) {
  EXPECT_EQ(between({0, 0}, {0, 0}).relative_l2(), 0);
  EXPECT_EQ(between({0, 0}, {0, 0}).cosine(), 1);
  EXPECT_TRUE(std::isinf(between({0, 1}, {0, 0}).relative_l2()));
  EXPECT_EQ(between({0, 1}, {0, 0}).cosine(), 0);
  EXPECT_TRUE(between({}, {}).within(0));
}

}  // namespace
}  // namespace resnet::tools
