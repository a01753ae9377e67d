#include "bench/statistics.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace resnet::tools {
namespace {

TEST(Percentile, TakesTheMiddleForTheMedian) {
  EXPECT_EQ(percentile({3, 1, 2}, 50), 2);
  EXPECT_EQ(percentile({4, 1, 2, 3}, 50), 2.5);
  EXPECT_EQ(percentile({7}, 50), 7);
}

TEST(Percentile, TakesTheNearestRank) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  EXPECT_EQ(percentile(values, 95), 95);
  EXPECT_EQ(percentile(values, 99), 99);
  EXPECT_EQ(percentile({1, 2, 3, 4, 5}, 95), 5);
  EXPECT_EQ(percentile({1}, 99), 1);
}

TEST(PeakRss, GrowsWithTheMemoryThatIsTouched) {
  const auto before = peak_rss_bytes();
  EXPECT_GT(before, 0);
  constexpr std::size_t size = 64u << 20;
  const auto block = std::make_unique<char[]>(size);
  std::memset(block.get(), 1, size);
  asm volatile("" : : "r"(block.get()) : "memory");  // or clang leaves the unread block out
  EXPECT_GE(peak_rss_bytes(), before + (32 << 20));
}

}  // namespace
}  // namespace resnet::tools
